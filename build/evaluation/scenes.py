"""The scenes of the evaluation: what is placed where in which panorama, as plain data, drawn from a seed.

Photographs (Caltech-101), emoji and panoramas are each split into development and test, as the recordings are.
`material.py` has the images and writes the file of each scene.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np

from omniaudio.audio.ambisonics import Floats, unit_vector

BUILD = Path(__file__).parents[1]

Split = Literal["development", "test"]
Group = Literal["photograph", "drawing", "render", "moving", "two", "empty"]

SECONDS = 5.0
"""Length of a scene's sound."""
SEEDS: Mapping[Split, int] = {"development": 2026, "test": 4052}
COUNTS: Mapping[Group, int] = {"photograph": 60, "drawing": 40, "moving": 16, "two": 20}
"""Scenes of each group; each panorama is empty ROTATIONS times, and every render is used."""
ROTATIONS = 2
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
"""The right kinds for a folder of photographs, if they differ from its name."""
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
"""The right beds for a panorama."""
SHOWN: Mapping[str, tuple[str, ...]] = {
    "potsdamer_platz": ("speech",),
    "venice_sunset": ("speech",),
    "blender_courtyard": ("dog",),
    "blender_interior": ("music", "telephone"),
}
"""Sources that a panorama shows by itself, which are no false alarms there."""


@dataclass(frozen=True)
class Cutout:
    """An object placed in a scene. `image` is the path of a photograph in the data, or a drawing's font and name."""

    folder: str
    image: str
    azimuth: float  # radians, as elevation
    elevation: float
    size: float
    speed: float = 0.0  # radians per second, around

    @property
    def right(self) -> tuple[str, ...]:
        """The right kinds; the sound is judged by the first one."""
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
    rotation: float  # 0 to 1 for a full rotation
    mirrored: bool
    cutouts: tuple[Cutout, ...]

    @property
    def beds(self) -> tuple[str, ...]:
        return BEDS.get(self.panorama, ())

    @property
    def key(self) -> str:
        """A name that changes with anything in the scene."""
        return f"{self.name}-{crc32(repr(self).encode()):08x}"


@dataclass(frozen=True)
class Listing:
    """What there is of a split: the panoramas' names, the photographs of each folder, the kind of each drawing."""

    split: Split
    panoramas: Sequence[str]
    photos: Mapping[str, Sequence[str]]
    drawn: Mapping[str, str]


def scenes(there: Listing, counts: Mapping[Group, int] = COUNTS, rotations: int = ROTATIONS) -> Iterator[Scene]:
    """The scenes of a split without the renders, always the same. A smaller count gives the first ones."""
    places = sorted(there.panoramas)
    for group, count in counts.items():
        for number in range(count):
            rng = np.random.default_rng([SEEDS[there.split], crc32(group.encode()), number])
            cutouts = tuple(_cutouts(group, number, there, rng))
            rotation, mirrored = float(rng.random()), bool(rng.random() < 0.5)
            yield Scene(f"{group}-{number:02d}", group, places[number % len(places)], rotation, mirrored, cutouts)
    for place in places:
        for number in range(rotations):
            yield Scene(f"empty-{place}-{number}", "empty", place, number / rotations, False, ())


def _cutouts(group: Group, number: int, there: Listing, rng: np.random.Generator) -> Iterator[Cutout]:
    folders = sorted(there.photos)
    emoji = sorted(there.drawn, key=lambda name: crc32(name.encode()))
    start, before = float(rng.uniform(-np.pi, np.pi)), ""
    for which in range(2 if group == "two" else 1):
        if group == "drawing":
            image = emoji[number % len(emoji)]
            folder = there.drawn[image]
        else:
            others = [one for one in folders if one != before]
            folder = before = str(rng.choice(others)) if which else folders[number % len(folders)]
            image = str(rng.choice(there.photos[folder]))
        azimuth = start + which * float(rng.uniform(np.radians(70), np.radians(290)))
        elevation = float(np.clip(rng.normal(np.radians(-3), np.radians(12)), -0.7, 0.7))
        speed = float(np.radians(rng.uniform(*SPEEDS)) * rng.choice([-1, 1])) if group == "moving" else 0.0
        yield Cutout(folder, image, azimuth, elevation, float(np.radians(rng.uniform(*SIZES))), speed)
