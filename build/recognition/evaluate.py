"""Measures how well sources are found and named, and writes the table of docs/recognition.md.

    python build/recognition/evaluate.py ../shared/data CACHE --split development
    python build/recognition/evaluate.py ../shared/data CACHE --split test        # once, at the end

Photographs and panoramas are split both: no photograph and no panorama of the test is looked at in development. The
photographs are cut out (GrabCut) or pasted whole with a soft edge, at 28 to 52°, near the horizon. Drawings are
hung alike: emoji of fonts that the head for drawings has not learnt from, whose packages CACHE keeps. Every fourth is
in a plain world without a panorama.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from zlib import crc32

import cv2
import numpy as np
from drawings import DEVELOPMENT, TEST, Drawing, fetched, plain_world
from numpy.typing import NDArray
from PIL import Image

from omniaudio.audio.ambisonics import unit_vector
from omniaudio.recognition import kinds
from omniaudio.recognition.finder import FIELDS, VIEW, Finder
from omniaudio.recognition.networks import OnnxNetworks
from omniaudio.recognition.recognise import sources
from omniaudio.recognition.sources import Sources
from omniaudio.recognition.views import Look, views
from omniaudio.training.scenes import Billboard, render

sys.path.insert(0, str(Path(__file__).parents[1] / "draft_model"))
from panoramas import MIDDLE_GREY, tone_map

ALSO = {
    "brass_low": {"brass"},
    "mandolin": {"guitar"},
    "gramophone": {"music"},
    "pigeon": {"pigeon", "bird"},
    "sailboat": {"sailboat", "ship"},
    "ship": {"ship", "sailboat"},
}
"""The right kinds for a folder of photographs, if they differ from its name."""
UNKNOWN = {"gramophone", "helicopter", "scissors"}
"""Folders for which ImageNet has no class. Figures are given with and without them."""
PEOPLED = {"potsdamer_platz", "venice_sunset"}
"""Panoramas with people: a speaker found there is no false alarm."""
NIGHT_GREY = 0.06
NEAR = 25.0
CUT_OUT = 0.6
MAX_PIXELS = 384


@dataclass(frozen=True)
class Cutout:
    folder: str
    direction: NDArray[np.float64]
    size: float

    @property
    def right(self) -> set[str]:
        return ALSO.get(self.folder, {self.folder})


@dataclass(frozen=True)
class Scene:
    panorama: str
    image: NDArray[np.uint8]
    cutouts: tuple[Cutout, ...]


def split_of(photo: Path) -> str:
    return "test" if crc32(f"{photo.parent.name}{photo.name}".encode()) % 2 else "development"


def read_panoramas(folder: Path, split: str) -> dict[str, NDArray[np.uint8]]:
    files = sorted(folder.glob("*.hdr"))[split == "test" :: 2]
    found = {}
    for file in files:
        light = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(np.float32)
        found[file.stem.removesuffix("_1k")] = tone_map(light, NIGHT_GREY if "night" in file.stem else MIDDLE_GREY)
    return found


def cut_out(photo: Path, rng: np.random.Generator) -> Image.Image:
    """The object of a photograph, cut out by GrabCut; by chance, or if that fails, the whole with a soft edge."""
    image = Image.open(photo).convert("RGB")
    image.thumbnail((MAX_PIXELS, MAX_PIXELS))
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    if rng.random() < CUT_OUT:
        mask = np.zeros((height, width), np.uint8)
        box = (round(width * 0.04), round(height * 0.04), round(width * 0.92), round(height * 0.92))
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(np.ascontiguousarray(pixels[..., ::-1]), mask, box, *models, 4, cv2.GC_INIT_WITH_RECT)
        cutout = cv2.morphologyEx(np.isin(mask, (1, 3)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        if 0.15 < cutout.mean() < 0.9:
            rows, columns = (np.flatnonzero(cutout.any(axis=axis)) for axis in (1, 0))
            alpha = cv2.GaussianBlur(cutout.astype(np.float32), (0, 0), 1) * 255
            whole = np.dstack([pixels, alpha.astype(np.uint8)])
            return Image.fromarray(whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    down, across = (np.minimum(np.arange(n) + 1, np.arange(n, 0, -1)) for n in (height, width))
    edge = np.minimum(down[:, None], across[None]) / (min(height, width) / 16)
    return Image.fromarray(np.dstack([pixels, (edge.clip(0, 1) * 255).astype(np.uint8)]))


def scenes(data: Path, split: str, count: int, cutouts: int, seed: int) -> Iterable[Scene]:
    """Every folder of photographs in turn, in every panorama in turn, rotated and mirrored at random."""
    rng = np.random.default_rng(seed)
    panoramas = list(read_panoramas(data / "panoramas", split).items())
    photos: dict[str, list[Path]] = {}
    for photo in sorted((data / "photos").glob("*/*.jpg")):
        if split_of(photo) == split:
            photos.setdefault(photo.parent.name, []).append(photo)
    folders = sorted(photos)
    for number in range(count):
        name, empty = panoramas[number % len(panoramas)]
        image = np.roll(empty, int(rng.integers(empty.shape[1])), axis=1)
        image = np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image)
        placed: list[Cutout] = []
        boards = []
        start = rng.uniform(-np.pi, np.pi)
        for which in range(cutouts):
            folder = folders[number % len(folders)] if which == 0 else str(rng.choice(folders))
            photo = photos[folder][int(rng.integers(len(photos[folder])))]
            azimuth = start + which * rng.uniform(np.radians(70), np.radians(290))
            elevation = float(np.clip(rng.normal(np.radians(-3), np.radians(12)), -0.7, 0.7))
            size = np.radians(rng.uniform(28, 52))
            boards.append(Billboard(cut_out(photo, rng), float(azimuth), elevation, float(size)))
            placed.append(Cutout(folder, np.asarray(unit_vector(azimuth, elevation), np.float64), float(size)))
        yield Scene(name, render(image, boards), tuple(placed))


def drawn_scenes(data: Path, split: str, drawings: list[Drawing], count: int, seed: int) -> Iterable[Scene]:
    """One drawing each, every kind in turn, in every panorama in turn; every fourth in a plain world."""
    rng = np.random.default_rng(seed)
    panoramas = list(read_panoramas(data / "panoramas", split).items())
    by_kind = [[one for one in drawings if one.kind == kind] for kind in sorted({one.kind for one in drawings})]
    sequence = rng.permutation(len(by_kind))
    for number in range(count):
        name, empty = panoramas[number % len(panoramas)]
        image = np.roll(empty, int(rng.integers(empty.shape[1])), axis=1)
        if number % 4 == 3:
            rows = Image.fromarray(plain_world(rng)[:, :1]).resize((1, image.shape[0]))
            name, image = "plain", np.repeat(np.asarray(rows), image.shape[1], axis=1)
        of_kind = by_kind[sequence[number % len(sequence)]]
        drawing = of_kind[int(rng.integers(len(of_kind)))]
        azimuth, size = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(28, 52))
        elevation = float(np.clip(rng.normal(np.radians(-3), np.radians(12)), -0.7, 0.7))
        image = render(np.ascontiguousarray(image), [Billboard(drawing.image, azimuth, elevation, float(size))])
        yield Scene(
            name, image, (Cutout(drawing.kind, np.asarray(unit_vector(azimuth, elevation), np.float64), float(size)),)
        )


def angle(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


class Row:
    """Figures of one kind of scene."""

    def __init__(self) -> None:
        self.found: list[tuple[Cutout, bool, bool, float]] = []

    def add(self, cutout: Cutout, found: Sources) -> tuple[bool, float]:
        """Adds a cutout. Returns whether the nearest source has the right kind, and its distance in degrees."""
        placed = [(angle(one.directions(np.zeros(1))[0], cutout.direction), one.kind) for one in found.sources]
        nearest = min(placed, default=(180.0, ""))
        named = nearest[0] < NEAR and nearest[1] in cutout.right
        self.found.append((cutout, nearest[0] < NEAR, named, nearest[0]))
        return named, nearest[0]

    def text(self, leave_out: frozenset[str] = frozenset()) -> str:
        rows = [row for row in self.found if row[0].folder not in leave_out]
        near, named = (np.mean([row[column] for row in rows]) for column in (1, 2))
        middle = np.median([row[3] for row in rows])
        return f"n = {len(rows)}: median {middle:.1f}°, below {NEAR:.0f}° {near:.0%}, and named right {named:.0%}"


def close_views(networks: OnnxNetworks, finder: Finder, scene: Scene) -> str:
    """The kind recognised in views straight at a scene's only cutout."""
    (cutout,) = scene.cutouts
    azimuth, elevation = np.arctan2(cutout.direction[1], cutout.direction[0]), np.arcsin(cutout.direction[2])
    looks = [Look(float(azimuth), float(elevation), float(field)) for field in FIELDS]
    logits = networks.classify(views(scene.image, looks, VIEW)).mean(axis=(1, 2))
    shares = finder.shares(logits).mean(axis=0)
    not_beds = [not kind.bed for kind in kinds.load().kinds]
    return kinds.load().ids[int((shares * not_beds).argmax())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with photos/ and panoramas/")
    parser.add_argument("cache", type=Path, help="a folder for the packages of the emoji fonts")
    parser.add_argument("--split", choices=("development", "test"), default="development")
    parser.add_argument("--scenes", type=int, default=90)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--drawn", type=int, default=60, help="scenes of each font")
    asked = parser.parse_args()
    networks = OnnxNetworks()
    finder = Finder(networks, kinds.load())

    def look(image: NDArray[np.uint8]) -> Sources:
        return sources([image], [0.5], (0.0, 1.0), 1.0, networks, kinds=kinds.load())

    seed = 11 if asked.split == "test" else 1
    single, pair, close, seconds = Row(), Row(), [], []
    wrong: Counter[str] = Counter()
    for scene in scenes(asked.data, asked.split, asked.scenes, 1, seed):
        (cutout,) = scene.cutouts
        close.append((cutout.folder, close_views(networks, finder, scene) in cutout.right))
        started = perf_counter()
        found = look(scene.image)
        seconds.append(perf_counter() - started)
        named, away = single.add(cutout, found)
        others = [(one.kind, round(one.confidence, 2)) for one in found.sources]
        print(cutout.folder, scene.panorama, "right" if named else f"wrong, {away:.0f}°", others, flush=True)
        if not named:
            wrong[cutout.folder] += 1
    both = []
    for scene in scenes(asked.data, asked.split, asked.pairs, 2, seed + 1):
        found = look(scene.image)
        both.append(all([pair.add(cutout, found)[0] for cutout in scene.cutouts]))
    drawn: dict[str, Row] = {}
    fonts = fetched(asked.cache)
    for font in TEST if asked.split == "test" else DEVELOPMENT:
        drawings = list(fonts.drawings(kinds.load(), (font,)))
        for scene in drawn_scenes(asked.data, asked.split, drawings, asked.drawn, seed + 2):
            (cutout,) = scene.cutouts
            found = look(scene.image)
            for name in (font, scene.panorama):
                named, away = drawn.setdefault(name, Row()).add(cutout, found)
            others = [(one.kind, round(one.confidence, 2)) for one in found.sources]
            print("drawn", font, cutout.folder, scene.panorama, "right" if named else f"wrong, {away:.0f}°", others)
    silent = []
    for name, image in read_panoramas(asked.data / "panoramas", asked.split).items():
        for shift in (0, 300, 600):
            found = look(np.roll(image, shift, axis=1))
            heard = [one.kind for one in found.sources if not (name in PEOPLED and one.kind == "speech")]
            silent.append(not heard)
            print("empty", name, heard, "bed:", found.bed.kind if found.bed else None, flush=True)
    known = frozenset(UNKNOWN)
    print(
        f"\nclose views straight at it, kind right: {np.mean([right for _, right in close]):.0%}, without "
        f"{', '.join(sorted(UNKNOWN))} {np.mean([right for folder, right in close if folder not in UNKNOWN]):.0%}"
    )
    print(f"one source, {single.text()}; without these {single.text(known)}")
    print(f"two sources, {pair.text()}; both named right {np.mean(both):.0%}")
    for name, row in drawn.items():
        print(f"drawn, {name}: {row.text()}")
    print(f"nothing that sounds, n = {len(silent)}: no source in {np.mean(silent):.0%}")
    print(f"seconds a look: median {np.median(seconds):.2f}")
    print("not found or named wrong:", dict(wrong.most_common()))


if __name__ == "__main__":
    main()
