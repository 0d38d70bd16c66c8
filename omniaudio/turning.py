"""A recording camera's field turned into the world's: sound that a turning camera took stays where it was in the world."""

from collections.abc import Callable
from math import hypot
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omniaudio.progress import Report

LENGTH_TOLERANCE = 1e-3
"""How far from 1 the length of a quaternion may be that was rounded on its way here."""


class Orientation(BaseModel):
    """How a camera is turned at a time of the sound: the rotation from its axes to the world's as a unit quaternion
    w + x·i + y·j + z·k, in AmbiX' axes (X front, Y left, Z up)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(allow_inf_nan=False, description="from the sound's first sample")
    w: float = Field(allow_inf_nan=False)
    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    z: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_unit(self) -> Self:
        length = hypot(self.w, self.x, self.y, self.z)
        if abs(length - 1) > LENGTH_TOLERANCE:
            raise ValueError(f"a rotation is a quaternion of length 1, not {length:g}")
        return self


class Turn(BaseModel):
    """What is wanted: `sound` (AmbiX, as the camera heard it) turned to the world's axes, as `output` (a WAV)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: Path
    output: Path
    orientations: tuple[Orientation, ...] = Field(
        min_length=1, description="at ascending times; slerp between them, held beyond the first and the last"
    )
    preview: bool = Field(default=True, description="OUT.preview.wav, binaural")

    @model_validator(mode="after")
    def _is_ascending(self) -> Self:
        times = [orientation.seconds for orientation in self.orientations]
        if any(later <= earlier for earlier, later in zip(times, times[1:], strict=False)):
            raise ValueError("the orientations' times ascend")
        return self


class Turned(BaseModel):
    """The files of a sound that was turned, and its measures."""

    sound: Path
    preview: Path | None
    sidecar: Path
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None


def turn(request: Turn, report: Callable[[Report], None]) -> Turned:
    """Turn a camera's field to the world's axes."""
    raise NotImplementedError
