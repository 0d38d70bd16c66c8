"""Renders the frames that the draft's pointer and its conditions learn from, and looks at them with its vision.

A *group* is one panorama with the same one or two pictures in it, seen several times: at other directions and sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from library import Library, of
from PIL import Image
from torch import Tensor

from omniaudio.ambisonics import unit_vector
from omniaudio.panorama import wrap_seam
from omniaudio.training.pointing import Views
from omniaudio.training.scenes import Billboard, distractor, rain, render, vary_cutout, vary_panorama

MARGIN = 128  # pixels repeated beyond the seam
LOOKS = 2  # frames of a group
ROUNDS = 2  # panoramas that every picture is put into
PAIRS = 180
EMPTY = 10  # groups of each panorama with nothing that sounds
RAINY = 0.12  # of the groups outside
SIZES = (np.radians(14), np.radians(60))

Vision = Callable[[np.ndarray], np.ndarray]
"""(frames, 448, 1152, 3) uint8 → (frames, patches, dim)."""


@dataclass(frozen=True)
class Group:
    """Indexes into the library's pictures and panoramas, and the first of its `looks` frames."""

    pictures: tuple[int, ...]
    panorama: int
    first: int
    looks: int
    rainy: bool


def plan(library: Library, rng: np.random.Generator) -> list[Group]:
    """Every training picture in some panoramas, pairs of different classes, and panoramas alone."""
    pictures = [index for index, entry in enumerate(library.pictures) if entry.split == "train"]
    panoramas = [index for index, entry in enumerate(library.panoramas) if entry.split == "train"]
    groups: list[Group] = []

    def add(chosen: tuple[int, ...], panorama: int, looks: int) -> None:
        first = groups[-1].first + groups[-1].looks if groups else 0
        outside = "interior" not in library.panoramas[panorama].kinds
        groups.append(Group(chosen, panorama, first, looks, outside and rng.random() < RAINY))

    for _ in range(ROUNDS):
        for picture in pictures:
            add((picture,), int(rng.choice(panoramas)), LOOKS)
    for _ in range(PAIRS):
        first, second = (int(x) for x in rng.choice(pictures, 2, replace=False))
        if library.pictures[first].kinds != library.pictures[second].kinds:
            add((first, second), int(rng.choice(panoramas)), 2)
    for panorama in panoramas:
        for _ in range(EMPTY):
            add((), panorama, 1)
    return groups


def look(library: Library, groups: list[Group], vision: Vision, folder: Path, seed: int) -> Views:
    """Renders all frames and keeps what vision makes of them as half floats in `folder`; resumes where it stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    total = groups[-1].first + groups[-1].looks
    done_file, store = folder / "done", folder / "patches.npy"
    done = int(done_file.read_text()) if done_file.exists() else 0
    patches: np.ndarray | None = np.lib.format.open_memmap(store, "r+") if done else None
    mode: Literal["r+", "w+"] = "r+" if done else "w+"
    directions = np.lib.format.open_memmap(folder / "directions.npy", mode, np.float32, (total, 2, 3))
    sizes = np.lib.format.open_memmap(folder / "sizes.npy", mode, np.float32, (total, 2))
    for number, group in list(enumerate(groups))[done:]:
        rng = np.random.default_rng((seed, number))
        frames = []
        for at in range(group.first, group.first + group.looks):
            billboards, things = _arrange(library, group, rng)
            for slot, (direction, size) in enumerate(things):
                directions[at, slot], sizes[at, slot] = direction, size
            panorama = vary_panorama(Image.open(library.panoramas[group.panorama].file), rng)
            if group.rainy:
                panorama = rain(panorama, rng)
            frames.append(wrap_seam(render(panorama, billboards), MARGIN))
        seen = vision(np.stack(frames))
        if patches is None:
            patches = np.lib.format.open_memmap(store, "w+", np.float16, (total, *seen.shape[1:]))
        patches[group.first : group.first + group.looks] = seen
        if number % 50 == 49 or number == len(groups) - 1:
            for kept in (patches, directions, sizes):
                kept.flush()
            done_file.write_text(str(number + 1))
            print(f"views: {number + 1} of {len(groups)} groups", flush=True)
    assert patches is not None
    return Views(torch.from_numpy(patches), torch.from_numpy(directions), torch.from_numpy(sizes))


def _arrange(
    library: Library, group: Group, rng: np.random.Generator
) -> tuple[list[Billboard], list[tuple[np.ndarray, float]]]:
    """Random directions and sizes for the group's pictures, far from each other, and some distractors behind them."""
    things: list[tuple[np.ndarray, float]] = []
    hung: list[Billboard] = []
    for picture in group.pictures:
        cutout = vary_cutout(Image.open(library.pictures[picture].file), rng)
        size = float(np.exp(rng.uniform(*np.log(SIZES))))
        while True:
            azimuth, elevation = float(rng.uniform(-np.pi, np.pi)), float(np.clip(rng.normal(0, 0.35), -1, 1))
            direction = unit_vector(azimuth, elevation)
            if all(np.arccos(direction @ other) > (size + taken) / 2 + 0.3 for other, taken in things):
                break
        things.append((direction, size))
        hung.append(Billboard(cutout, azimuth, elevation, size))
    behind = []
    others = of(library.panoramas, "train")
    for _ in range(int(rng.integers(0, 3))):
        piece = distractor(Image.open(others[int(rng.integers(len(others)))].file), rng)
        azimuth, elevation = float(rng.uniform(-np.pi, np.pi)), float(np.clip(rng.normal(0, 0.4), -1, 1))
        behind.append(Billboard(piece, azimuth, elevation, float(rng.uniform(0.2, 0.8))))
    return behind + hung, things


def patches_of(feature_map: Tensor) -> Tensor:
    """A feature map over the wrapped panorama (frames, dim, rows, columns + margin) → (frames, patches, dim)."""
    margin = MARGIN // 32
    return feature_map[..., margin:-margin].flatten(2).transpose(1, 2)
