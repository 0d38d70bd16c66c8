"""What sounds in a clip, as plain data that people can read and edit: `sources.json`.

A source has a kind and a path. The bed is what surrounds the listener.
"""

import json
from collections.abc import Callable
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WrapValidator, model_validator
from pydantic_core import PydanticCustomError
from rich.console import Group
from rich.table import Table

from omniaudio.audio.ambisonics import Floats, angle_between, angles, unit_vector
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import replacing
from omniaudio.recognition import kinds

_SHOWN_PROBLEMS = 5
"""Errors that a message lists; the others are counted."""
_SHOWN_CHARACTERS = 60
"""Characters of a wrong value that a message quotes."""


def _known(identifier: str) -> str:
    if identifier in kinds.load():
        return identifier
    close = get_close_matches(identifier[:_SHOWN_CHARACTERS], kinds.load().ids, n=1)
    hint = f"did you mean “{close[0]}”?" if close else f"choose one of {', '.join(kinds.load().ids)}"
    raise ValueError(f"there is no kind “{_text(identifier)}”; {hint}")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Place(_Entry):
    """Where a source is at one time. Between two places it moves along the great circle at constant speed."""

    time: float = Field(ge=0, description="seconds from the clip's first frame")
    azimuth: float = Field(ge=-360, le=360, description="degrees, counter-clockwise from the front: positive is left")
    elevation: float = Field(ge=-90, le=90, description="degrees, up from the horizon")
    size: float = Field(default=20, gt=0, le=360, description="apparent size: the angle of its longer side in degrees")


class _Audible(_Entry):
    kind: Annotated[str, AfterValidator(_known)]
    confidence: float = Field(default=1, ge=0, le=1, description="probability that a source of this kind is there")
    level: float = Field(ge=-20, le=140, description="dB SPL at the listener, at its nearest")
    gain: float = Field(default=0, ge=-60, le=24, description="dB added to its level")
    mute: bool = False

    @model_validator(mode="before")
    @classmethod
    def _typical_level(cls, entry: Any) -> Any:
        """Fills in a missing level: the typical one of the kind at its largest apparent size."""
        if not isinstance(entry, dict) or entry.get("level") is not None:
            return entry
        if not isinstance(kind := entry.get("kind"), str) or kind not in kinds.load():
            return {**entry, "level": 0}  # so that only the kind is reported as wrong
        path = entry.get("path") or ()
        sizes = [place.get("size") if isinstance(place, dict) else getattr(place, "size", None) for place in path]
        largest = max((size for size in sizes if isinstance(size, int | float)), default=20.0)
        return {**entry, "level": round(kinds.load()[kind].level_at(largest), 1)}


def _list_source_kinds(schema: dict[str, Any]) -> None:
    schema["properties"]["kind"]["enum"] = [kind.id for kind in kinds.load().sources]


def _list_bed_kinds(schema: dict[str, Any]) -> None:
    schema["properties"]["kind"]["enum"] = [kind.id for kind in kinds.load().beds]


class Source(_Audible):
    """A source, which sounds from the first time of its path to the last."""

    model_config = ConfigDict(json_schema_extra=_list_source_kinds)

    path: tuple[Place, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _source_with_rising_times(self) -> Self:
        if kinds.load()[self.kind].bed:
            raise ValueError(f"“{self.kind}” surrounds the listener; make it the bed, or choose the kind of a source")
        for before, after in pairwise(self.path):
            if after.time <= before.time:
                raise ValueError(
                    f"its path goes from {before.time:g} s to {after.time:g} s; put its times in rising order"
                )
        return self

    @property
    def start(self) -> float:
        return self.path[0].time

    @property
    def end(self) -> float:
        return self.path[-1].time

    def directions(self, times: Floats) -> Floats:
        """Unit vectors `(times, 3)` at times in seconds. Before its start and after its end it stays in place."""
        known = np.array([place.time for place in self.path])
        vectors = unit_vector(*np.radians([[p.azimuth for p in self.path], [p.elevation for p in self.path]]))
        index = np.clip(np.searchsorted(known, times, side="right") - 1, 0, max(0, len(known) - 2))
        following = np.minimum(index + 1, len(known) - 1)
        span = np.where(following > index, known[following] - known[index], 1.0)
        share = np.clip((np.asarray(times) - known[index]) / span, 0, 1)
        return _between(vectors[index], vectors[following], share)

    def levels(self, times: Floats) -> Floats:
        """dB SPL at the listener `(times,)`, with gain: a smaller apparent size means a larger distance."""
        kind = kinds.load()[self.kind]
        sizes = np.interp(times, [p.time for p in self.path], [p.size for p in self.path])
        nearest = kind.level_at(max(place.size for place in self.path))
        return np.array([kind.level_at(size) - nearest for size in sizes]) + self.level + self.gain


def _between(first: Floats, second: Floats, share: Floats) -> Floats:
    """Unit vectors `(times, 3)` on the great circles from `first` to `second`, after `share` of the way.

    Between opposite directions it takes the circle through the left of the first one."""
    left = np.cross([0.0, 0.0, 1.0], first)
    left[np.linalg.norm(left, axis=1) < 1e-6] = (0.0, 1.0, 0.0)
    across = second - np.sum(first * second, axis=1, keepdims=True) * first
    opposite = (np.linalg.norm(across, axis=1) < 1e-6) & (np.sum(first * second, axis=1) < 0)
    across[opposite] = left[opposite]
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    angle = (angle_between(first, second) * share)[:, None]
    return np.asarray(first * np.cos(angle) + across * np.sin(angle))


class Bed(_Audible):
    """The bed: what surrounds the listener."""

    model_config = ConfigDict(json_schema_extra=_list_bed_kinds)

    @model_validator(mode="after")
    def _bed_only(self) -> Self:
        if not kinds.load()[self.kind].bed:
            beds = ", ".join(bed.id for bed in kinds.load().beds)
            raise ValueError(f"“{self.kind}” comes from one direction; for the bed choose one of {beds}")
        return self


class Sources(_Entry):
    """All that sounds in a clip."""

    version: Literal[1] = 1
    seconds: float = Field(gt=0, description="length of the clip")
    sources: tuple[Source, ...] = ()
    bed: Bed | None = Field(default=None, description="null for none")

    @model_validator(mode="after")
    def _within_the_clip(self) -> Self:
        for number, source in enumerate(self.sources, 1):
            if source.start > self.seconds:
                raise ValueError(
                    f"source {number} starts at {source.start:g} s and the clip ends at {self.seconds:g} s; "
                    "let it start earlier"
                )
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads sources from a file. Raises UserError, whose message lists the wrong entries."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}).", ExitCode.NO_INPUT) from error
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise UserError(f"{path}: {problems(error)}.", ExitCode.NO_INPUT) from error

    def write(self, path: Path) -> None:
        """Writes them as JSON, atomically."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def problems(error: ValidationError) -> str:
    """What is wrong with sources, by entry, counted from 1: `source 2, place 1, azimuth: …`."""
    found = [f"{_where(problem['loc'])}{_what(dict(problem))}" for problem in error.errors()]
    more = len(found) - _SHOWN_PROBLEMS
    return "; ".join(found[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _where(location: tuple[int | str, ...]) -> str:
    words: list[str] = []
    for part in location:
        if isinstance(part, int):
            words[-1] = f"{'place' if words[-1] == 'path' else words[-1].removesuffix('s')} {part + 1}"
        else:
            words.append(_text(part))
    return ", ".join(words) + ": " if words else ""


def _what(problem: dict[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such field; remove it"
    if problem["type"] == "missing":
        return "is missing; add it"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem["input"]
    if isinstance(given, dict | list) or problem["type"] == "value_error":
        return message
    return f"{message}, not {_json(given)}"


def _json(value: Any) -> str:
    return _text(json.dumps(value, ensure_ascii=False, default=str))


def _text(value: str) -> str:
    """Text from a file as a message can quote it: shortened, and without lone surrogates."""
    return value.encode(errors="backslashreplace").decode()[:_SHOWN_CHARACTERS]


def _in_words(value: Any, validate: Callable[[Any], "Sources | None"]) -> "Sources | None":
    try:
        return validate(value)
    except ValidationError as error:
        raise PydanticCustomError("sources", "{problems}", {"problems": problems(error)}) from error


Given = Annotated[Sources, WrapValidator(_in_words)]
"""Sources as a field of a request, with the message of `problems` as its only error."""


def as_text(found: Sources) -> Group:
    """The sources as a table for the terminal."""
    table = Table("source", "kind", "sure", "from", "to", "direction", "size", "level")
    for column in (2, 3, 4, 6, 7):
        table.columns[column].justify = "right"
    for number, source in enumerate(found.sources, 1):
        largest = max(place.size for place in source.path)
        table.add_row(
            str(number), kinds.load()[source.kind].name, f"{source.confidence:.0%}", f"{source.start:.1f} s",
            f"{source.end:.1f} s", _way(source), f"{largest:.0f}°", _level(source),
        )  # fmt: skip
    if found.bed is not None:
        bed = found.bed
        table.add_row(
            "bed", kinds.load()[bed.kind].name, f"{bed.confidence:.0%}", "", "", "all around", "", _level(bed)
        )
    return Group(table)


def _level(entry: _Audible) -> str:
    return "muted" if entry.mute else f"{entry.level + entry.gain:.0f} dB"


def _way(source: Source) -> str:
    """`30° left, 5° up`, and the last direction too if it moves by more than 5°."""
    first, last = source.directions(np.array([source.start, source.end]))
    moves = float(np.degrees(np.arccos(np.clip(first @ last, -1, 1)))) > 5
    return f"{_direction(first)} → {_direction(last)}" if moves else _direction(first)


def _direction(vector: Floats) -> str:
    azimuth, elevation = (round(float(angle)) for angle in np.degrees(angles(vector)))
    side = f"{abs(azimuth)}° {'left' if azimuth > 0 else 'right'}" if azimuth else "front"
    return f"{side}, {abs(elevation)}° {'up' if elevation > 0 else 'down'}" if elevation else side
