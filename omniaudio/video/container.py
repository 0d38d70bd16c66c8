"""Video files in PyAV: opening one, and choosing its video stream."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.container
import av.error
from av.stream import Disposition

from omniaudio.errors import ExitCode, UserError

Stereo = Literal["mono", "top-bottom", "side-by-side"]

_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_NEAR_2_TO_1 = 0.06

_REFERRING = frozenset({"applehttp", "concat", "dash", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "webm_dash_manifest"})
"""Formats that are lists of other files or addresses: a clip must be a single file."""
_FORMATS = ",".join(sorted(av.formats_available - _REFERRING - {"tty"}))
"""The formats that are read. FFmpeg's `tty` would render any text file as a video."""


def open_file(path: Path) -> av.container.InputContainer:
    try:
        # With the protocol named, no character in the file's name can select another one.
        return av.open(f"file:{path}", options={"format_whitelist": _FORMATS})
    except PermissionError as error:
        raise UserError(f"{path} cannot be read; change its permissions.", ExitCode.NO_INPUT) from error
    except av.error.FFmpegError as error:
        with path.open("rb") as file:
            is_mp4 = file.read(8)[4:] == b"ftyp"
        if is_mp4:
            message = f"{path.name} is cut off: the index at its end is missing; copy or export it again."
        else:
            message = f"{path.name} is not a readable video or image; export it as MP4 (H.264) or PNG."
        raise UserError(message, ExitCode.NOT_A_VIDEO) from error


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The video stream that players show, set to decode on all cores: a default stream is preferred, then one that is
    2:1, then the largest. Cover art and thumbnails do not count."""
    streams = [s for s in container.streams.video if not s.disposition & _NOT_VIDEO]
    if not streams:
        raise UserError(f"{path.name} has no video stream; choose a video or an image.", ExitCode.NOT_A_VIDEO)
    # PyAV has no context if FFmpeg has no decoder.
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise UserError(f"{path.name} uses a codec that cannot be decoded; export it as H.264.", ExitCode.NOT_A_VIDEO)
    stream = max(known, key=_preference)
    stream.thread_type = "AUTO"
    return stream


def _preference(stream: av.VideoStream) -> tuple[bool, bool, int]:
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = width * float(stream.sample_aspect_ratio or 1) / max(1, height)
    return bool(stream.disposition & Disposition.default), abs(aspect - 2) < _NEAR_2_TO_1, width * height


def mean_rate(stream: av.VideoStream) -> Fraction:
    """Frames per second on average; 25 if the file does not say."""
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def no_frame(path: Path) -> UserError:
    """The error for a file from which no frame can be decoded."""
    message = f"No frame of {path.name} can be decoded: it is empty, cut off, or damaged; export it again."
    return UserError(message, ExitCode.NOT_A_VIDEO)
