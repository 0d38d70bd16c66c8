"""A video's metadata about its frames: projection, pose, stereo layout, and which way is up.

FFmpeg passes most of it on with each frame. The rest is read from the file: mesh projections, which it drops, and
whether there is a pose at all, since it also reports a viewer's initial direction as one.

Sources: Google, "Spherical Video RFC" V1 and V2, for the metadata; RFC 8794 and RFC 9559 for Matroska.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import av
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType

from omniaudio.video.container import Stereo
from omniaudio.video.mp4_boxes import VISUAL_ENTRY_BYTES, children, read_index
from omniaudio.video.pose import Pose, Upright, read_display_matrix, read_pose

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
"""FFmpeg's AVStereo3DType, as far as frames can be split by it."""
MESH = "mesh"
"""The projection of Google's VR180: a mesh maps the frame onto the sphere."""

_SEGMENT, _CLUSTER, _TRACKS, _TRACK = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_VIDEO, _PROJECTION, _PROJECTION_TYPE = 0xE0, 0x7670, 0x7671
_MATROSKA_MESH = 3
_MAX_HEADER_BYTES = 1 << 26
"""The largest Matroska header that is read; usual ones have a few kilobytes."""


class Spherical(NamedTuple):
    """Metadata about a 360° video; None for what they do not say."""

    projection: str | None
    """`equirectangular` for a whole panorama, another name for other projections."""
    pose: Pose | None
    """None if there is no rotation."""
    stereo: Stereo | None
    right_eye_first: bool


def spherical(frame: av.VideoFrame, path: Path, stream: av.VideoStream) -> Spherical:
    """Read the spherical metadata of a file and one of its frames."""
    side_data = _side_data(frame)
    sphere, layout = side_data.get(SideDataType.SPHERICAL), side_data.get(SideDataType.STEREO3D)
    projection, pose, stereo, right_eye_first = None, None, None, False
    boxes = _projection_boxes(path, stream.id)
    if sphere is not None:
        # struct AVSphericalMapping: projection, then yaw, pitch and roll in degrees, 16.16, and bounds.
        number, *angles = struct.unpack_from("=4i", sphere)
        projection = _PROJECTIONS.get(number, "unknown")
        if _is_matroska(path) or b"prhd" in boxes:
            pose = read_pose(*(angle / 65536 for angle in angles))
    elif b"mshp" in boxes or (_is_matroska(path) and _matroska_projection(path, stream.index) == _MATROSKA_MESH):
        projection = MESH
    if layout is not None:
        # struct AVStereo3D: type, then flags; the first flag means that the views are swapped.
        number, flags = struct.unpack_from("=ii", layout)
        stereo, right_eye_first = _STEREO.get(number, "mono"), bool(flags & 1)
    return Spherical(projection, pose, stereo, right_eye_first)


def upright(frame: av.VideoFrame) -> Upright | None:
    """How a frame becomes upright; None if its display matrix is unusable."""
    matrix = _side_data(frame).get(SideDataType.DISPLAYMATRIX)
    return Upright() if matrix is None else read_display_matrix(struct.unpack_from("=9i", matrix))


def _side_data(frame: av.VideoFrame) -> Mapping[SideDataType, SideData]:
    return cast(Mapping[SideDataType, SideData], frame.side_data)


# --- MP4 and MOV ----------------------------------------------------------------------------------------------------


def _projection_boxes(path: Path, track_id: int) -> dict[bytes, bytes]:
    """The boxes in `proj` of a track's sample entry; none in other formats."""
    for kind, track in children(read_index(path)):
        if kind != b"trak":
            continue
        header = _down(track, b"tkhd")
        # The track's number follows the creation and modification times, which have 64 bits in version 1.
        at = 20 if header[:1] == b"\1" else 12
        if int.from_bytes(header[at : at + 4], "big") != track_id:
            continue
        for _, entry in children(_down(track, b"mdia", b"minf", b"stbl", b"stsd")[8:]):
            return dict(children(_down(entry[VISUAL_ENTRY_BYTES:], b"sv3d", b"proj")))
    return {}


def _down(data: bytes, *kinds: bytes) -> bytes:
    """The content of the first box along a path of kinds; empty if there is none."""
    for kind in kinds:
        data = next((inside for one, inside in children(data) if one == kind), b"")
    return data


# --- Matroska -------------------------------------------------------------------------------------------------------


def _is_matroska(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x1a\x45\xdf\xa3"


def _matroska_projection(path: Path, index: int) -> int | None:
    """The projection type of a file's track, tracks counted from 0; None if it has none."""
    with path.open("rb") as file:
        end = path.stat().st_size
        for kind, start, size in _elements(file, 0, end):
            if kind == _SEGMENT:
                for inner, at, length in _elements(file, start, min(end, start + size)):
                    if inner == _CLUSTER:
                        return None
                    if inner == _TRACKS and length < _MAX_HEADER_BYTES:
                        tracks = [e for e in _elements(file, at, at + length) if e[0] == _TRACK]
                        return _type_of_track(file, tracks[index]) if index < len(tracks) else None
    return None


def _type_of_track(file: BinaryIO, track: tuple[int, int, int]) -> int | None:
    _, start, size = track
    for kind in (_VIDEO, _PROJECTION, _PROJECTION_TYPE):
        found = next((e for e in _elements(file, start, start + size) if e[0] == kind), None)
        if found is None:
            return None
        _, start, size = found
    file.seek(start)
    return int.from_bytes(file.read(min(size, 8)), "big")


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """A sequence of EBML elements: their ID, the start of their content, and its size."""
    while start < end:
        file.seek(start)
        head = file.read(12)
        id_length = 9 - head[0].bit_length() if head else 9
        if id_length > 4 or len(head) <= id_length:
            return
        first = head[id_length]
        length = 9 - first.bit_length()
        if length > 8 or len(head) < id_length + length:
            return
        size = int.from_bytes(head[id_length : id_length + length], "big") & ((1 << 7 * length) - 1)
        inside = start + id_length + length
        if size == (1 << 7 * length) - 1:  # Unknown size: to the end.
            size = end - inside
        yield int.from_bytes(head[:id_length], "big"), inside, size
        start = inside + size
