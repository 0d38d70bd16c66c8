"""Video files by PyAV: opening, and the stream that is meant."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.container
import av.error
from av.stream import Disposition

from omniaudio.errors import ExitCode, UserError

Stereo = Literal["mono", "top-bottom", "side-by-side"]

_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails
_NEAR_2_TO_1 = 0.06

_REFERRING = frozenset({"applehttp", "concat", "dash", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "webm_dash_manifest"})
"""Formats that are lists of other files or addresses: a clip is what lies in its own file."""
_FORMATS = ",".join(sorted(av.formats_available - _REFERRING - {"tty"}))
"""Those that are read. By `tty` FFmpeg would show any text as a film of it."""


def open_file(path: Path) -> av.container.InputContainer:
    try:
        # With its protocol named, no character of a file's name means another one.
        return av.open(f"file:{path}", options={"format_whitelist": _FORMATS})
    except PermissionError as error:
        raise UserError(f"{path} may not be read; change its permissions.", ExitCode.NO_INPUT) from error
    except av.error.FFmpegError as error:
        with path.open("rb") as file:
            is_mp4 = file.read(8)[4:] == b"ftyp"
        if is_mp4:
            message = f"{path.name} is cut off: the index at its end is missing; copy or export it again."
        else:
            message = f"{path.name} is not a video or picture that can be read; export it as MP4 (H.264) or PNG."
        raise UserError(message, ExitCode.NOT_A_VIDEO) from error


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The stream of pictures that players show, decoding with all cores: a default one, of several one that is twice as
    wide as high, of several the largest. Covers of sound files and thumbnails are none."""
    streams = [s for s in container.streams.video if not s.disposition & _NO_FILM]
    if not streams:
        raise UserError(f"{path.name} holds no picture; give a video or a picture.", ExitCode.NOT_A_VIDEO)
    # PyAV has no context where FFmpeg has no decoder.
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise UserError(f"{path.name} has a codec that is not known here; export it as H.264.", ExitCode.NOT_A_VIDEO)
    stream = max(known, key=_preference)
    stream.thread_type = "AUTO"
    return stream


def _preference(stream: av.VideoStream) -> tuple[bool, bool, int]:
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = width * float(stream.sample_aspect_ratio or 1) / max(1, height)
    return bool(stream.disposition & Disposition.default), abs(aspect - 2) < _NEAR_2_TO_1, width * height


def mean_rate(stream: av.VideoStream) -> Fraction:
    """Frames a second on average; 25 where the file does not tell."""
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def no_frame(path: Path) -> UserError:
    """For a file of which no frame can be decoded."""
    message = f"No picture of {path.name} can be decoded: it is empty, cut off, or damaged; export it again."
    return UserError(message, ExitCode.NOT_A_VIDEO)
