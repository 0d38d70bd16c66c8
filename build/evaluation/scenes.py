"""The scenes of the evaluation: what is hung where in which panorama, as plain data that is drawn from a seed.

Photographs (Caltech-101), emoji and panoramas are each split into development and test, as the recordings are.
`material.py` has the pictures and makes a scene's file.
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
"""Of the sound of a scene."""
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


@dataclass(frozen=True)
class Listing:
    """What there is of a split: the panoramas' names, the photographs of each folder, the kind of each drawing."""

    split: Split
    panoramas: Sequence[str]
    photos: Mapping[str, Sequence[str]]
    drawn: Mapping[str, str]


def scenes(there: Listing, counts: Mapping[Group, int] = COUNTS, turns: int = TURNS) -> Iterator[Scene]:
    """The scenes of a split but for the renders, the same ones each time; of a smaller count the first ones."""
    places = sorted(there.panoramas)
    for group, count in counts.items():
        for number in range(count):
            rng = np.random.default_rng([SEEDS[there.split], crc32(group.encode()), number])
            things = tuple(_things(group, number, there, rng))
            turn, mirrored = float(rng.random()), bool(rng.random() < 0.5)
            yield Scene(f"{group}-{number:02d}", group, places[number % len(places)], turn, mirrored, things)
    for place in places:
        for number in range(turns):
            yield Scene(f"empty-{place}-{number}", "empty", place, number / turns, False, ())


def _things(group: Group, number: int, there: Listing, rng: np.random.Generator) -> Iterator[Thing]:
    folders = sorted(there.photos)
    emoji = sorted(there.drawn, key=lambda name: crc32(name.encode()))
    start, before = float(rng.uniform(-np.pi, np.pi)), ""
    for which in range(2 if group == "two" else 1):
        if group == "drawing":
            picture = emoji[number % len(emoji)]
            folder = there.drawn[picture]
        else:
            others = [one for one in folders if one != before]
            folder = before = str(rng.choice(others)) if which else folders[number % len(folders)]
            picture = str(rng.choice(there.photos[folder]))
        azimuth = start + which * float(rng.uniform(np.radians(70), np.radians(290)))
        elevation = float(np.clip(rng.normal(np.radians(-3), np.radians(12)), -0.7, 0.7))
        speed = float(np.radians(rng.uniform(*SPEEDS)) * rng.choice([-1, 1])) if group == "moving" else 0.0
        yield Thing(folder, picture, azimuth, elevation, float(np.radians(rng.uniform(*SIZES))), speed)
