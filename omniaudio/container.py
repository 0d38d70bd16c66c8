"""Video files by PyAV: opening, the stream of pictures, and what its metadata say of the sphere.

Sources: Google's "Spherical Video RFC" V1 and V2 for the metadata, which FFmpeg reads and hands on with each frame.
"""

import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, cast

import av
import av.container
import av.error
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from omniaudio.errors import ExitCode, UserError

Stereo = Literal["mono", "top-bottom", "side-by-side"]

_PROJECTIONS = {
    0: "equirectangular",
    1: "cubemap",
    2: "cropped equirectangular",
    3: "half equirectangular",
    4: "rectilinear",
    5: "fisheye",
    6: "parametric immersive",
}
"""FFmpeg's AVSphericalProjection."""

_STEREO: dict[int, Stereo] = {1: "side-by-side", 2: "top-bottom"}
"""FFmpeg's AVStereo3DType, as far as a picture can be cut by it."""

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
            sentence = f"{path.name} is cut off: the index at its end is missing; copy or export it again."
        else:
            sentence = f"{path.name} is not a video or picture that can be read; export it as MP4 (H.264) or PNG."
        raise UserError(sentence, ExitCode.NOT_A_VIDEO) from error


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The first stream of pictures that is no cover of a sound file, decoding with all cores."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise UserError(f"{path.name} holds no picture; give a video or a picture.", ExitCode.NOT_A_VIDEO)
    # PyAV has no context where FFmpeg has no decoder.
    if streams[0].codec_context is None:
        raise UserError(f"{path.name} has a codec that is not known here; export it as H.264.", ExitCode.NOT_A_VIDEO)
    streams[0].thread_type = "AUTO"
    return streams[0]


def mean_rate(stream: av.VideoStream) -> Fraction:
    """Frames a second on average; 25 where the file does not tell."""
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def no_frame(path: Path) -> UserError:
    """For a file of which no frame can be decoded."""
    sentence = f"No picture of {path.name} can be decoded: it is empty, cut off, or damaged; export it again."
    return UserError(sentence, ExitCode.NOT_A_VIDEO)


class Spherical(NamedTuple):
    """What metadata say of a 360° picture, as far as they do."""

    projection: str | None
    """`equirectangular` for a whole panorama, another name for other projections."""
    stereo: Stereo | None
    right_eye_first: bool


def spherical(frame: av.VideoFrame) -> Spherical:
    """The spherical and stereo metadata that came with a frame."""
    side_data = cast(Mapping[SideDataType, SideData], frame.side_data)
    sphere, layout = side_data.get(SideDataType.SPHERICAL), side_data.get(SideDataType.STEREO3D)
    projection, stereo, right_eye_first = None, None, False
    if sphere is not None:
        # struct AVSphericalMapping: projection, then yaw, pitch, roll and bounds.
        (number,) = struct.unpack_from("=i", sphere)
        projection = _PROJECTIONS.get(number, "unknown")
    if layout is not None:
        # struct AVStereo3D: type, then flags, of which the first says that the views are inverted.
        number, flags = struct.unpack_from("=ii", layout)
        stereo, right_eye_first = _STEREO.get(number, "mono"), bool(flags & 1)
    return Spherical(projection, stereo, right_eye_first)
