"""A 360° video with spatial audio, as YouTube and headsets read it."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from omniaudio.container import Stereo
from omniaudio.progress import Report


class Codec(StrEnum):
    """How the sound is delivered."""

    PCM = "pcm"
    """24 bit, exact, in a MOV."""
    OPUS = "opus"
    """512 kb/s, channel mapping family 2 (RFC 8486), in an MP4."""
    AAC = "aac"
    """512 kb/s, four channels, in an MP4."""


class Deliver(BaseModel):
    """What is wanted: `picture` (a 360° video, still or image sequence) with `sound` (AmbiX), as `output`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    picture: Path
    sound: Path
    output: Path = Field(description="a .mov for PCM, an .mp4 for Opus and AAC; as long as `sound`")
    codec: Codec = Codec.PCM
    picture_start: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="seconds of the picture at which the sound begins"
    )
    stereo: Stereo | None = Field(default=None, description="the picture's own where None")
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")


class Delivered(BaseModel):
    """What was delivered."""

    path: Path
    codec: Codec
    video_codec: str
    copied: bool = Field(description="the pictures are the source's own, not encoded again")
    width: int
    height: int
    stereo: Stereo
    seconds: float = Field(description="of the sound")


def deliver(request: Deliver, report: Callable[[Report], None]) -> Delivered:
    """Write a 360° video with spatial audio."""
    raise NotImplementedError
