"""Export of a 360° video with spatial audio, as YouTube and headsets read it: `docs/export.md`."""

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
"""Progress reports per second of video."""
_SECONDS_A_BYTE = 2e-9
"""Initial estimate of the copying time."""


class ExportRequest(BaseModel):
    """An export of `clip` (a 360° video, still image or image sequence) with `sound` (AmbiX) to `output`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clip: InputPath
    sound: InputPath
    output: OutputPath = Field(description="a .mov for PCM, an .mp4 for Opus and AAC; it has the length of `sound`")
    codec: Codec = Codec.PCM
    clip_start: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="time in the clip at which the sound begins, in seconds"
    )
    stereo: Stereo | None = Field(default=None, description="None: the clip's own")
    force: bool = Field(default=False, description="treat the clip as a panorama even if it does not look like one")
    allow_truncated: bool = Field(default=False, description="use the readable part of a truncated file")


class ExportedVideo(BaseModel):
    """An exported video."""

    path: Path
    codec: Codec
    video_codec: str
    copied: bool = Field(description="the video track was copied, not encoded again")
    width: int
    height: int
    scaled_from: tuple[int, int] | None = Field(
        description="width and height of the source, if its frames exceed the largest H.264 level"
    )
    stereo: Stereo
    seconds: float


def export_spatial_video(request: ExportRequest, report: Callable[[Report], None]) -> ExportedVideo:
    """Write a 360° video with spatial audio.

    The video has the length of the sound: a longer clip is cut, and the last frame of a shorter one is held. The video
    track is copied if the container accepts its codec and there is a key frame at `clip_start`. Otherwise it is encoded
    as H.264, scaled down if the frames exceed its largest level. Memory is constant; until the file is complete it
    takes twice its size on disk.

    Args:
        request: the clip, the sound, the output and its format.
        report: called after each step; an exception cancels the job, and no partial file is left.

    Raises:
        UserError: the clip or the sound cannot be read; the clip is not a panorama, is truncated before the end of the
            sound, or ends before `clip_start`; the sound exceeds full scale at 48 kHz; or the output cannot be written.
    """
    container = _CONTAINER[request.codec]
    sound = open_sound(request.sound)
    check_output(request.output, f".{container}", request.sound, request.clip)
    clip = Clip(request.clip)
    info = clip.info
    check_truncation(info, request.clip_start + sound.seconds, request.allow_truncated)
    start, _ = time_range(info, request.clip_start, sound.seconds if info.duration is None else None)
    if not request.force:
        check_sphere(clip, start, sound.seconds)
    stereo = request.stereo or info.stereo
    part = Part(info, start, audio_track.length(sound) / audio_track.RATE)
    with (
        replacing(request.output) as partial,
        tempfile.TemporaryDirectory(dir=request.output.parent, prefix=".omniaudio-") as folder,
    ):
        video_file = Path(folder) / request.output.name
        progress = Progress(
            report,
            [Task("video", ceil(part.seconds * _STEPS_A_SECOND), 0.01), Task("index", _size(request), _SECONDS_A_BYTE)],
        )
        copies = is_copyable(info, container)
        if copies:
            try:
                _write(video_file, part, sound, request.codec, progress, copies=True)
            except NotCopyableError:
                copies = False
        if not copies:
            _write(video_file, part, sound, request.codec, progress, copies=False)
        progress.tasks[1].units = video_file.stat().st_size
        progress.begin("index")
        mark_spatial(video_file, partial, stereo, lambda copied: progress.advance("index", copied))
        progress.advance("index", progress.tasks[1].units - progress.tasks[1].done)
    with open_file(request.output) as made:
        track = made.streams.video[0].codec_context
    whole = video_track.upright_size(info)
    return ExportedVideo(
        path=request.output,
        codec=request.codec,
        video_codec=track.codec.canonical_name,
        copied=copies,
        width=track.width,
        height=track.height,
        scaled_from=None if copies or even(whole[0]) == track.width else whole,
        stereo=stereo,
        seconds=part.seconds,
    )


def _size(request: ExportRequest) -> int:
    """Estimate the size of the output in bytes."""
    return sum(path.stat().st_size for path in (request.clip, request.sound) if path.is_file())


def _write(video_file: Path, part: Part, sound: SoundFile, codec: Codec, progress: Progress, *, copies: bool) -> None:
    """Write the video without its 360° boxes. Raises NotCopyableError if copying fails, UserError (NOT_WRITABLE) if
    encoding fails."""
    progress.begin("video")
    try:
        _mux(video_file, part, sound, codec, progress, copies=copies)
    except av.error.FFmpegError as error:
        if copies:  # Muxers refuse more than a table can list.
            raise NotCopyableError from error
        raise UserError(
            f"{part.info.path.name} cannot be written as {video_file.name} ({error.strerror}): free disk space, or "
            f"export the clip as H.264 first.",
            ExitCode.NOT_WRITABLE,
        ) from error


def _mux(video_file: Path, part: Part, sound: SoundFile, codec: Codec, progress: Progress, *, copies: bool) -> None:
    """Mux both tracks, as `_write`. Raises FFmpegError if the container refuses one."""
    # Store lengths in samples; by default FFmpeg rounds them to milliseconds.
    options = {"movie_timescale": str(audio_track.RATE)}
    with ExitStack() as stack:
        out = stack.enter_context(
            av.open(f"file:{video_file}", "w", format=_CONTAINER[codec], container_options=options)
        )
        if copies:
            clip = stack.enter_context(open_file(part.info.path))
            frames = video_track.copied(out, clip, part)
        else:
            frames = video_track.encoded(out, part)
        sounds = audio_track.encoded(out, sound, codec)
        tracks: tuple[Iterator[av.Packet[Any]], ...] = (frames, sounds)
        for packet in merge(*tracks, key=_time):
            time = _time(packet)
            out.mux(packet)
            while progress.tasks[0].done < min(time * _STEPS_A_SECOND, progress.tasks[0].units):
                progress.advance("video")


def _time(packet: "av.Packet[Any]") -> float:
    assert packet.dts is not None
    assert packet.time_base is not None
    return float(packet.dts * packet.time_base)
