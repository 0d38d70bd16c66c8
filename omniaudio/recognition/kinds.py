"""The kinds of sound that can be recognised: `kinds.toml`, read and checked.

The recogniser knows ImageNet's 1,000 classes. The probability of a kind is the sum over its classes, so the table
lists every class exactly once: under a kind, or as silent.
"""

import tomllib
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.resources import files
from itertools import pairwise
from math import log10, radians, tan
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

IMAGENET_CLASSES = 1000

_FALL_PER_DECADE = {"point": 20.0, "line": 10.0, "none": 0.0}
"""Decibels that a sound loses over ten times the distance."""


def _classes(written: Any) -> Any:
    """`"1-3 7"` to (1, 2, 3, 7)."""
    return tuple(_numbers(written)) if isinstance(written, str) else written


def _numbers(written: str) -> Iterator[int]:
    for part in written.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


Classes = Annotated[tuple[int, ...], BeforeValidator(_classes)]


class Kind(BaseModel):
    """One kind of sound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z_]+$")
    name: str
    bed: bool = Field(description="surrounds the listener; else it comes from a direction")
    emoji: str
    level: float = Field(ge=0, le=140, description="dB SPL at 1 m, of a bed at the listener; typical while it sounds")
    size: float = Field(default=0, ge=0, description="longer side in metres; 0 for a bed")
    sounding: Literal["single", "continuous"] = "single"
    distance: Literal["point", "line", "none"] = "point"
    voice: str = Field(description="the kind whose sound is used: another one if the generator lacks this one")
    imagenet: Classes
    coco: tuple[str, ...] = ()
    labels: tuple[str, ...] = Field(min_length=1, description="AudioSet's classes that a tagger may find it by")

    @model_validator(mode="after")
    def _only_sources_have_a_size(self) -> "Kind":
        if self.bed == (self.size > 0):
            raise ValueError(f"{self.id}: a source has a size, a bed has none")
        return self

    def distance_at(self, apparent_size: float) -> float:
        """How far away it is in metres, seen at `apparent_size` degrees."""
        return self.size / (2 * tan(radians(min(max(apparent_size, 0.1), 179.0)) / 2))

    def level_at(self, apparent_size: float) -> float:
        """dB SPL at the listener when it is seen at `apparent_size` degrees. Nearer than 1 m it grows no louder."""
        if self.bed:
            return self.level
        return self.level - _FALL_PER_DECADE[self.distance] * log10(max(1.0, self.distance_at(apparent_size)))


class Kinds(BaseModel):
    """All kinds, those of sources before those of beds, and the ImageNet classes that make no sound worth having."""

    model_config = ConfigDict(frozen=True)

    kinds: tuple[Kind, ...]
    silent: Classes

    @model_validator(mode="after")
    def _every_class_once(self) -> "Kinds":
        listed = sorted([*self.silent, *(number for kind in self.kinds for number in kind.imagenet)])
        if listed != list(range(IMAGENET_CLASSES)):
            twice = sorted({one for one, following in pairwise(listed) if one == following})
            missing = sorted(set(range(IMAGENET_CLASSES)) - set(listed))
            raise ValueError(f"each ImageNet class is listed once: {twice} are listed twice, {missing} are missing")
        ids = [kind.id for kind in self.kinds]
        if len(set(ids)) < len(ids):
            raise ValueError("two kinds have the same id")
        if unknown := {kind.voice for kind in self.kinds} - set(ids):
            raise ValueError(f"these voices are not kinds: {sorted(unknown)}")
        return self

    def __getitem__(self, identifier: str) -> Kind:
        """Raises KeyError for an unknown id."""
        return self._by_id[identifier]

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._by_id

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(kind.id for kind in self.kinds)

    @property
    def sources(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in self.kinds if not kind.bed)

    @property
    def beds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in self.kinds if kind.bed)

    def columns(self) -> npt.NDArray[np.intp]:
        """`(1000,)`: the index in `kinds` of each ImageNet class's kind; `len(kinds)` for a silent class."""
        found = np.full(IMAGENET_CLASSES, len(self.kinds), np.intp)
        for index, kind in enumerate(self.kinds):
            found[list(kind.imagenet)] = index
        return found

    @cached_property
    def _by_id(self) -> dict[str, Kind]:
        return {kind.id: kind for kind in self.kinds}


def parse(text: str) -> Kinds:
    """A table of kinds as `kinds.toml` writes it. Raises ValueError if it contradicts itself."""
    table = tomllib.loads(text)
    kinds = [
        Kind.model_validate({"id": identifier, "bed": bed, "voice": identifier, **row})
        for group, bed in (("sources", False), ("beds", True))
        for identifier, row in table[group].items()
    ]
    return Kinds(kinds=tuple(kinds), silent=table["silent"])


@cache
def load() -> Kinds:
    """The package's own table."""
    return parse(files("omniaudio_client").joinpath("kinds.toml").read_text("utf-8"))
