"""Video files by PyAV, as far down as packets: opening, frames from a time on, where a file really ends, and what its
metadata say of the sphere.

Sources: Google's "Spherical Video RFC" V1 and V2 for the metadata, which FFmpeg reads and hands on with each frame.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
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
    streams[0].thread_type = "AUTO"
    return streams[0]


def all_frames(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """All frames that can be decoded from here on: damaged packets are passed over, and a file may just end."""
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            with suppress(av.error.FFmpegError):
                yield from packet.decode()


def timed_frames(path: Path, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with their times from the clip's first picture, from the key frame before `start` on."""
    for seek in (True, False) if start > 0 else (False,):
        with open_file(path) as container:
            stream = video_stream(container, path)
            unit, first = clock(stream)
            if seek:
                try:
                    container.seek(int(start / unit) + first, stream=stream)
                except av.error.FFmpegError:
                    continue
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            too_late = seek
            for index, frame in enumerate(all_frames(container, stream)):
                # Raw streams have no times.
                time = float((frame.pts - first) * unit) if frame.pts is not None else float(index / rate)
                if too_late and (frame.pts is None or time > start):
                    break  # The container cannot seek; read it from its start.
                too_late = False
                yield time, frame
            if not too_late:
                return


def readable_end(path: Path, fps: Fraction) -> float:
    """Where a video's last picture ends, in seconds from the first one's start; 0 without pictures.

    What the header says is believed where the file has packets near its end. A file that is cut off, or has no length
    in its header, is read through, without decoding."""
    with open_file(path) as container:
        stream = video_stream(container, path)
        unit, first = clock(stream)
        in_stream = stream.duration is not None
        said = (stream.duration or 0) * unit if in_stream else Fraction(container.duration or 0, av.time_base)
        near = said - max(Fraction(1), 2 / fps)
        if near > 0:
            with suppress(av.error.FFmpegError):
                container.seek(int(near / unit) + first, stream=stream)
                end = _last_packet_end(container, stream, fps) - first * unit
                if end >= near:
                    return float(min(end, said))
    with open_file(path) as container:
        end = _last_packet_end(container, video_stream(container, path), fps) - first * unit
    return float(max(Fraction(0), min(end, said) if in_stream and said > 0 else end))


def _last_packet_end(container: av.container.InputContainer, stream: av.VideoStream, fps: Fraction) -> Fraction:
    """The end of the last packet from here on, in seconds on the stream's own clock; 0 where there is none."""
    unit, end, count = clock(stream)[0], Fraction(0), 0
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.size > 0:
                begin = packet.pts * unit if packet.pts is not None else count / fps
                end = max(end, begin + (packet.duration * unit if packet.duration else 1 / fps))
                count += 1
    return end


def clock(stream: av.VideoStream) -> tuple[Fraction, int]:
    """Seconds a tick of a stream's clock, and the tick of its first picture."""
    return stream.time_base or Fraction(1, 1000), stream.start_time or 0


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
