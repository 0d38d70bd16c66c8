"""The moving picture beside a sound: where on the panorama it comes from, moment by moment, as an MP4."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from omniaudio.progress import Report


class MapMovie(BaseModel):
    """What is wanted: `sound` (AmbiX) drawn over `picture` (a 360° video, still or image sequence), as `output`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: Path
    picture: Path
    output: Path = Field(description="an .mp4 without sound, as long as `sound`")
    picture_start: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="seconds of the picture at which the sound begins"
    )


def draw_movie(request: MapMovie, report: Callable[[Report], None]) -> Path:
    """Draw where a sound comes from over its panorama."""
    raise NotImplementedError
