"""A 360° video with spatial audio, as YouTube and headsets read it: `../docs/delivery.md`."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import merge
from math import ceil
from pathlib import Path
from typing import Any

import av
import av.error
from pydantic import BaseModel, ConfigDict, Field

from omniaudio.audio.reader import SoundFile, open_sound
from omniaudio.errors import ExitCode, UserError
from omniaudio.export360 import audio_track, video_track
from omniaudio.export360.audio_track import Codec
from omniaudio.export360.video_track import NotCopyableError, Part, is_copyable
from omniaudio.files import replacing
from omniaudio.output import check_output
from omniaudio.paths import InputPath, OutputPath
from omniaudio.progress import Progress, Report, Task
from omniaudio.video.clip import Clip
from omniaudio.video.container import Stereo, open_file
from omniaudio.video.h264 import even
from omniaudio.video.mp4_boxes import mark_spatial
from omniaudio.video.sphere import check_sphere
from omniaudio.video.time_range import check_truncation, time_range

_CONTAINER = {Codec.PCM: "mov", Codec.OPUS: "mp4", Codec.AAC: "mp4"}
_STEPS_A_SECOND = 10
"""How often a second of the film is reported."""
_SECONDS_A_BYTE = 2e-9
"""Of copying, until it has been measured."""


class Deliver(BaseModel):
    """What is wanted: `picture` (a 360° video, still or image sequence) with `sound` (AmbiX), as `output`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    picture: InputPath
    sound: InputPath
    output: OutputPath = Field(description="a .mov for PCM, an .mp4 for Opus and AAC; as long as `sound`")
    codec: Codec = Codec.PCM
    picture_start: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="seconds of the picture at which the sound begins"
    )
    stereo: Stereo | None = Field(default=None, description="the picture's own where None")
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")


class Delivered(BaseModel):
    """What was delivered."""

    path: Path
    codec: Codec
    video_codec: str
    copied: bool = Field(description="the pictures are the source's own, not encoded again")
    width: int
    height: int
    scaled_from: tuple[int, int] | None = Field(
        description="the source's width and height, where its pictures are larger than H.264 has levels for"
    )
    stereo: Stereo
    seconds: float


def deliver(request: Deliver, report: Callable[[Report], None]) -> Delivered:
    """Write a 360° video with spatial audio.

    The film is as long as the sound: a picture that goes on is cut, and of one that ends before the last picture stays.
    The pictures are copied where the container takes their codec and a key frame lies at `picture_start`; else they are
    encoded as H.264, scaled down where it has no level for their size. Memory does not grow with the length; on the
    disk the film is there twice until it is whole.

    Args:
        request: what is wanted.
        report: told of every step; what it raises ends the work, and nothing half-written stays.

    Raises:
        UserError: picture or sound cannot be read, the picture is no panorama, was cut off before the sound's end, or
            ends before `picture_start`, the sound passes full scale at 48 kHz, or the target cannot be written.
    """
    container = _CONTAINER[request.codec]
    sound = open_sound(request.sound)
    check_output(request.output, f".{container}", request.sound, request.picture)
    clip = Clip(request.picture)
    info = clip.info
    check_truncation(info, request.picture_start + sound.seconds, request.allow_truncated)
    start, _ = time_range(info, request.picture_start, sound.seconds if info.duration is None else None)
    if not request.force:
        check_sphere(clip, start, sound.seconds)
    stereo = request.stereo or info.stereo
    part = Part(info, start, audio_track.length(sound) / audio_track.RATE)
    with (
        replacing(request.output) as partial,
        tempfile.TemporaryDirectory(dir=request.output.parent, prefix=".omniaudio-") as folder,
    ):
        film = Path(folder) / request.output.name
        progress = Progress(
            report,
            [Task("film", ceil(part.seconds * _STEPS_A_SECOND), 0.01), Task("index", _size(request), _SECONDS_A_BYTE)],
        )
        copies = is_copyable(info, container)
        if copies:
            try:
                _write(film, part, sound, request.codec, progress, copies=True)
            except NotCopyableError:
                copies = False
        if not copies:
            _write(film, part, sound, request.codec, progress, copies=False)
        progress.tasks[1].units = film.stat().st_size
        progress.begin("index")
        mark_spatial(film, partial, stereo, lambda copied: progress.advance("index", copied))
        progress.advance("index", progress.tasks[1].units - progress.tasks[1].done)
    with open_file(request.output) as made:
        pictures = made.streams.video[0].codec_context
    whole = video_track.upright_size(info)
    return Delivered(
        path=request.output,
        codec=request.codec,
        video_codec=pictures.codec.canonical_name,
        copied=copies,
        width=pictures.width,
        height=pictures.height,
        scaled_from=None if copies or even(whole[0]) == pictures.width else whole,
        stereo=stereo,
        seconds=part.seconds,
    )


def _size(request: Deliver) -> int:
    """About how many bytes the film will have."""
    return sum(path.stat().st_size for path in (request.picture, request.sound) if path.is_file())


def _write(film: Path, part: Part, sound: SoundFile, codec: Codec, progress: Progress, *, copies: bool) -> None:
    """The film without its boxes of 360°. Raises NotCopyableError where it was to be copied and cannot, UserError
    (NOT_WRITABLE) where it was to be encoded."""
    progress.begin("film")
    try:
        _mux(film, part, sound, codec, progress, copies=copies)
    except av.error.FFmpegError as error:
        if copies:  # Muxers refuse what no table foresees.
            raise NotCopyableError from error
        raise UserError(
            f"{part.info.path.name} cannot be written as {film.name} ({error.strerror}): make room there, or export "
            f"the clip as H.264 first.",
            ExitCode.NOT_WRITABLE,
        ) from error


def _mux(film: Path, part: Part, sound: SoundFile, codec: Codec, progress: Progress, *, copies: bool) -> None:
    """As `_write`. Raises FFmpegError where the container refuses."""
    # Lengths are said in samples: by default FFmpeg rounds them to milliseconds.
    options = {"movie_timescale": str(audio_track.RATE)}
    with ExitStack() as stack:
        out = stack.enter_context(av.open(f"file:{film}", "w", format=_CONTAINER[codec], container_options=options))
        if copies:
            clip = stack.enter_context(open_file(part.info.path))
            pictures = video_track.copied(out, clip, part)
        else:
            pictures = video_track.encoded(out, part)
        sounds = audio_track.encoded(out, sound, codec)
        tracks: tuple[Iterator[av.Packet[Any]], ...] = (pictures, sounds)
        for packet in merge(*tracks, key=_time):
            time = _time(packet)
            out.mux(packet)
            while progress.tasks[0].done < min(time * _STEPS_A_SECOND, progress.tasks[0].units):
                progress.advance("film")


def _time(packet: "av.Packet[Any]") -> float:
    assert packet.dts is not None
    assert packet.time_base is not None
    return float(packet.dts * packet.time_base)
