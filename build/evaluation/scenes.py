"""The scenes of the evaluation: what is hung where in which panorama, and the files that show it.

Photographs (Caltech-101), emoji and panoramas are each split into development and test, as the recordings are. A scene is
described by plain data drawn from a seed; `show` makes its file.
"""

import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal
from zlib import crc32

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omniaudio.ambisonics import Floats, unit_vector
from omniaudio.linear_images import read_exr
from omniaudio.recognition import kinds
from omniaudio.training.scenes import Billboard, render

BUILD = Path(__file__).parents[1]
sys.path[:0] = [str(BUILD / "recognition"), str(BUILD / "draft_model")]
import drawings
import panoramas
from evaluate import cut_out, read_panoramas, split_of

Split = Literal["development", "test"]
Group = Literal["photograph", "drawing", "render", "moving", "two", "empty"]
Picture = NDArray[np.uint8]

SECONDS = 5.0
"""Of the sound of a scene."""
FRAME_RATE = 10
"""Of the videos of moving things."""
SEEDS: Mapping[Split, int] = {"development": 2026, "test": 4052}
COUNTS: Mapping[Group, int] = {"photograph": 60, "drawing": 40, "moving": 16, "two": 20}
"""Scenes of each group; of the empty ones there are TURNS for each panorama, and renders as many as there are."""
TURNS = 2
SIZES = (28.0, 52.0)
"""Apparent sizes in degrees."""
SPEEDS = (10.0, 30.0)
"""Of what moves, in degrees per second."""

RIGHT: Mapping[str, tuple[str, ...]] = {
    "brass_low": ("brass",),
    "mandolin": ("guitar",),
    "gramophone": ("music",),
    "pigeon": ("pigeon", "bird"),
    "sailboat": ("sailboat", "ship"),
    "ship": ("ship", "sailboat"),
}
"""The kinds that are right for a folder of photographs, where they are not the folder's own name."""
BEDS: Mapping[str, tuple[str, ...]] = {
    "adams_place_bridge": ("traffic",),
    "empty_warehouse_01": ("interior",),
    "immenstadter_horn": ("meadow", "wind"),
    "lebombo": ("interior",),
    "rooitou_park": ("meadow",),
    "studio_small_03": ("interior",),
    "dikhololo_night": ("night",),
    "forest_slope": ("forest",),
    "kiara_1_dawn": ("wind", "meadow"),
    "potsdamer_platz": ("traffic",),
    "st_fagans_interior": ("interior",),
    "venice_sunset": ("sea_waves", "crowd"),
    "blender_city": ("traffic",),
    "blender_courtyard": ("interior",),
    "blender_forest": ("forest",),
    "blender_interior": ("interior",),
    "blender_night": ("night",),
}
"""The beds that are right for a panorama."""
SHOWN: Mapping[str, tuple[str, ...]] = {
    "potsdamer_platz": ("speech",),
    "venice_sunset": ("speech",),
    "blender_courtyard": ("dog",),
    "blender_interior": ("music", "telephone"),
}
"""What can be seen in a panorama without anything hung in it, and is no false alarm there."""
BLENDER_PANORAMAS = ("city", "courtyard", "forest", "interior", "night")
"""Those of Blender's studio lights (CC0, Poly Haven) that nothing was trained or tuned on; all of them test."""


@dataclass(frozen=True)
class Thing:
    """One thing of a scene; `picture` is a photograph's path in the data, or a drawing's font and name."""

    folder: str
    picture: str
    azimuth: float  # radians, as elevation
    elevation: float
    size: float
    speed: float = 0.0  # radians per second, around

    @property
    def right(self) -> tuple[str, ...]:
        """The kinds that are right; by the first one's sound it is judged."""
        return RIGHT.get(self.folder, (self.folder,))

    def directions(self, times: Floats) -> Floats:
        """Unit vectors (times, 3)."""
        around = self.azimuth + self.speed * np.asarray(times)
        return unit_vector(around, np.full(around.shape, self.elevation))


@dataclass(frozen=True)
class Scene:
    name: str
    group: Group
    panorama: str
    turn: float  # share of a whole turn
    mirrored: bool
    things: tuple[Thing, ...]

    @property
    def beds(self) -> tuple[str, ...]:
        return BEDS.get(self.panorama, ())

    @property
    def key(self) -> str:
        """A name that is another one when anything of the scene changes."""
        return f"{self.name}-{crc32(repr(self).encode()):08x}"


class Material:
    """Where the pictures are.

    data: `photos/` and `panoramas/`. packages: a folder that keeps those of the emoji fonts. blender: the environment of
    Blender's module, which brings panoramas. renders: what `blender_scenes.py` made.
    """

    def __init__(self, data: Path, packages: Path, blender: Path, renders: Path, split: Split) -> None:
        self.data, self.split, self.renders = data, split, renders
        self._packages = packages
        self._blender = blender

    @cached_property
    def panoramas(self) -> dict[str, Picture]:
        """Those of the split, 512 × 1024, by name."""
        found = read_panoramas(self.data / "panoramas", self.split)
        if self.split == "test":
            for name in BLENDER_PANORAMAS:
                pattern = f"lib/python*/site-packages/bpy/*/datafiles/studiolights/world/{name}.exr"
                (file,) = self._blender.glob(pattern)
                found[f"blender_{name}"] = panoramas.resize(read_exr(file))
        return found

    @cached_property
    def photos(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for photo in sorted((self.data / "photos").glob("*/*.jpg")):
            if split_of(photo) == self.split:
                found.setdefault(photo.parent.name, []).append(photo.relative_to(self.data).as_posix())
        return found

    @cached_property
    def drawn(self) -> dict[str, drawings.Drawing]:
        """The drawings of the split's fonts, by `font:name`."""
        fonts = drawings.TEST if self.split == "test" else drawings.DEVELOPMENT
        found = drawings.fetched(self._packages).drawings(kinds.load(), fonts)
        return {f"{one.font}:{one.name}": one for one in found}

    def rendered(self) -> list[Scene]:
        """The scenes that Blender rendered."""
        table = self.renders / "scenes.csv"
        if not table.is_file():
            return []
        with table.open(newline="", encoding="utf-8") as file:
            return [
                Scene(
                    Path(row["file"]).stem, "render", "", 0.0, False,
                    (Thing(row["kind"], row["file"], *(float(row[name]) for name in ("azimuth", "elevation", "size"))),),
                )
                for row in csv.DictReader(file)
            ]  # fmt: skip


def scenes(material: Material, counts: Mapping[Group, int] = COUNTS, turns: int = TURNS) -> Iterator[Scene]:
    """All scenes of the split, the same ones each time; of a smaller count the first ones."""
    places = sorted(material.panoramas)
    for group, count in counts.items():
        for number in range(count):
            rng = np.random.default_rng([SEEDS[material.split], crc32(group.encode()), number])
            things = tuple(_things(group, number, material, rng))
            turn, mirrored = float(rng.random()), bool(rng.random() < 0.5)
            yield Scene(f"{group}-{number:02d}", group, places[number % len(places)], turn, mirrored, things)
    for place in places:
        for number in range(turns):
            yield Scene(f"empty-{place}-{number}", "empty", place, number / turns, False, ())
    yield from material.rendered()


def _things(group: Group, number: int, material: Material, rng: np.random.Generator) -> Iterator[Thing]:
    folders = sorted(material.photos)
    emoji = sorted(material.drawn, key=lambda name: crc32(name.encode()))
    start, before = float(rng.uniform(-np.pi, np.pi)), ""
    for which in range(2 if group == "two" else 1):
        if group == "drawing":
            picture = emoji[number % len(emoji)]
            folder = material.drawn[picture].kind
        else:
            others = [one for one in folders if one != before]
            folder = before = str(rng.choice(others)) if which else folders[number % len(folders)]
            picture = str(rng.choice(material.photos[folder]))
        azimuth = start + which * float(rng.uniform(np.radians(70), np.radians(290)))
        elevation = float(np.clip(rng.normal(np.radians(-3), np.radians(12)), -0.7, 0.7))
        speed = float(np.radians(rng.uniform(*SPEEDS)) * rng.choice([-1, 1])) if group == "moving" else 0.0
        yield Thing(folder, picture, azimuth, elevation, float(np.radians(rng.uniform(*SIZES))), speed)


def show(scene: Scene, material: Material, folder: Path, seconds: float = SECONDS) -> Path:
    """A scene's file in a folder, made unless it is there."""
    path = folder / f"{scene.key}{'.mp4' if scene.group == 'moving' else '.png'}"
    if path.is_file():
        return path
    partial = path.with_name(f".partial-{path.name}")
    if scene.group == "render":
        Image.open(material.renders / scene.things[0].picture).convert("RGB").save(partial)
    elif scene.group == "moving":
        _write_video(partial, scene, material, seconds)
    else:
        Image.fromarray(_picture(scene, material, 0.0)).save(partial)
    partial.replace(path)
    return path


def _picture(scene: Scene, material: Material, time: float) -> Picture:
    picture = material.panoramas[scene.panorama]
    picture = np.roll(picture, round(scene.turn * picture.shape[1]), axis=1)
    picture = np.ascontiguousarray(picture[:, ::-1] if scene.mirrored else picture)
    boards = [
        Billboard(_cut(scene, thing, material), thing.azimuth + thing.speed * time, thing.elevation, thing.size)
        for thing in scene.things
    ]
    return render(picture, boards)


_cuts: dict[tuple[str, str], Image.Image] = {}


def _cut(scene: Scene, thing: Thing, material: Material) -> Image.Image:
    key = scene.name, thing.picture
    if key not in _cuts:
        if scene.group == "drawing":
            _cuts[key] = material.drawn[thing.picture].picture
        else:
            rng = np.random.default_rng(crc32(f"{scene.name} {thing.picture}".encode()))
            _cuts[key] = cut_out(material.data / thing.picture, rng)
    return _cuts[key]


def _write_video(path: Path, scene: Scene, material: Material, seconds: float) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAME_RATE), options={"crf": "18", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = material.panoramas[scene.panorama].shape[:2]
        for number in range(round(seconds * FRAME_RATE)):
            picture = _picture(scene, material, number / FRAME_RATE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
