"""The boxes that mark a video in MP4 or MOV as 360° with spatial audio; FFmpeg writes none of them.

- `SA3D` in the audio sample entry: four channels are first-order ambisonics, ACN and SN3D.
- `st3d` and `sv3d` in the video sample entry: the stereo layout, and that the projection is equirectangular.
- `uuid` with XML in the video track: the same in the first version of the format, for older players. If both are
  present, the newer one counts.

Sources: Google, "Spatial Audio RFC", "Spherical Video RFC" and "Spherical Video V2 RFC"; ISO/IEC 14496-12 for the
boxes, and Apple, "QuickTime File Format Specification", for MOV's.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import UUID

from omniaudio.audio.ambisonics import CHANNELS
from omniaudio.video.container import Stereo

COPIED_AT_ONCE = 1 << 22
"""Bytes."""

_FIXED = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8}
"""Boxes that contain others, with the number of bytes before the first of them."""
VISUAL_ENTRY_BYTES = 78
"""Bytes of a `VisualSampleEntry` before its boxes."""
_BEFORE_INDEX = frozenset(
    {b"ftyp", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pdin", b"meta", b"udta", b"styp", b"sidx"}
)
"""Boxes that may come before the index."""
_MAX_INDEX_BYTES = 1 << 28
"""An hour of video has a few megabytes."""
_MAX_OFFSET = (1 << 32) - 1
_SPHERICAL_V1 = UUID("ffcc8263-f855-4a93-8814-587a02521fdd")
_STEREO_MODE: dict[Stereo, int] = {"mono": 0, "top-bottom": 1, "side-by-side": 2}
_STEREO_NAME: dict[Stereo, str] = {"mono": "mono", "top-bottom": "top-bottom", "side-by-side": "left-right"}
_WRITER = "OmniAudio for Blender"


@dataclass
class Box:
    """A box: its own content, followed by the boxes in it."""

    kind: bytes
    content: bytes = b""
    boxes: list["Box"] = field(default_factory=list)

    def __bytes__(self) -> bytes:
        inside = self.content + b"".join(map(bytes, self.boxes))
        return struct.pack(">I4s", 8 + len(inside), self.kind) + inside

    def find(self, *kinds: bytes) -> "Box":
        """The first box along a path of kinds. Raises ValueError if there is none."""
        box = self
        for kind in kinds:
            inner = next((one for one in box.boxes if one.kind == kind), None)
            if inner is None:
                raise ValueError(f"there is no {kind!r} in {box.kind!r}")
            box = inner
        return box

    def walk(self) -> Iterator["Box"]:
        """This box and all boxes inside it."""
        yield self
        for box in self.boxes:
            yield from box.walk()


def parse(data: bytes) -> list[Box]:
    """Parse a sequence of boxes in an index (`moov`). Raises ValueError if a box does not fit."""
    boxes, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        if size < 8 or at + size > len(data):
            raise ValueError(f"a box {kind!r} of {size} bytes does not fit at byte {at} of {len(data)}")
        inside = data[at + 8 : at + size]
        fixed = _FIXED.get(kind)
        boxes.append(Box(kind, inside) if fixed is None else Box(kind, inside[:fixed], parse(inside[fixed:])))
        at += size
    return boxes


def children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kinds and contents of a sequence of boxes in an untrusted file, up to the first that does not fit."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        end = at + size if size else len(data)
        if end < at + head or end > len(data):
            return
        yield kind, data[at + head : end]
        at = end


def read_index(path: Path) -> bytes:
    """The content of a file's `moov`; empty if it has none, such as a file of another format."""
    with path.open("rb") as file:
        for box in _top_level(file):
            if box.kind == b"moov" and 8 <= box.size <= _MAX_INDEX_BYTES:
                file.seek(box.start + 8)
                return file.read(box.size - 8)
            if box.kind not in _BEFORE_INDEX or box.size < 8:
                break
    return b""


def spatial_audio() -> Box:
    """`SA3D`: periphonic, first order, ACN, SN3D, with the channels in that order."""
    order, acn, sn3d = 1, 0, 0
    return Box(b"SA3D", struct.pack(f">BBIBBI{CHANNELS}I", 0, 0, order, acn, sn3d, CHANNELS, *range(CHANNELS)))


def stereo_layout(stereo: Stereo) -> Box:
    """`st3d`: the stereo layout; the left eye is on top or on the left."""
    return Box(b"st3d", struct.pack(">IB", 0, _STEREO_MODE[stereo]))


def equirectangular() -> Box:
    """`sv3d`: the whole sphere, with the front at the centre of the frame."""
    header = Box(b"svhd", bytes(4) + _WRITER.encode() + b"\0")
    pose = Box(b"prhd", struct.pack(">Iiii", 0, 0, 0, 0))  # Yaw, pitch and roll, 16.16.
    bounds = Box(b"equi", struct.pack(">IIIII", 0, 0, 0, 0, 0))  # Cropped at the top, bottom, left and right, 0.32.
    return Box(b"sv3d", boxes=[header, Box(b"proj", boxes=[pose, bounds])])


def spherical_v1(stereo: Stereo) -> Box:
    """`uuid`: the XML of the format's first version."""
    values = {
        "Spherical": "true",
        "Stitched": "true",
        "StitchingSoftware": _WRITER,
        "ProjectionType": "equirectangular",
        "StereoMode": _STEREO_NAME[stereo],
    }
    elements = "".join(f"<GSpherical:{name}>{value}</GSpherical:{name}>" for name, value in values.items())
    xml = (
        '<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        f'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">{elements}</rdf:SphericalVideo>'
    )
    return Box(b"uuid", _SPHERICAL_V1.bytes + xml.encode())


def mark_spatial(source: Path, target: Path, stereo: Stereo, copied: Callable[[int], None]) -> None:
    """Copy a video and mark it as 360° with spatial audio, with its index in front, so that it plays while it loads.

    Args:
        source: a file with one video track and one audio track of four channels (AmbiX), its index (`moov`) at the end,
            as FFmpeg writes it.
        target: the output; the tracks are copied unchanged, in constant memory.
        stereo: the stereo layout of the frames.
        copied: called with the number of bytes copied; an exception cancels the copy.
    """
    with source.open("rb") as file, target.open("wb") as out:
        boxes = {part.kind: part for part in _top_level(file)}
        first, index = boxes[b"ftyp"], boxes[b"moov"]
        file.seek(index.start + 8)
        moov = Box(b"moov", boxes=parse(file.read(index.size - 8)))
        for track in moov.boxes:
            if track.kind == b"trak":
                _mark_track(track, stereo)
        shift_offsets(moov)
        _copy(file, out, first.start, first.size, copied)
        out.write(bytes(moov))
        after = first.start + first.size
        _copy(file, out, after, index.start - after, copied)


class _Extent(NamedTuple):
    kind: bytes
    start: int
    size: int


def _top_level(file: BinaryIO) -> Iterator[_Extent]:
    start = 0
    while len(head := file.read(16)) >= 8:
        size, kind = struct.unpack_from(">I4s", head)
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
        yield _Extent(kind, start, size)
        start += size
        file.seek(start)


def _mark_track(track: Box, stereo: Stereo) -> None:
    media = track.find(b"mdia")
    handler = media.find(b"hdlr").content[8:12]
    (entry,) = media.find(b"minf", b"stbl", b"stsd").boxes
    if handler == b"vide":
        add_to_frame(entry, bytes(stereo_layout(stereo)) + bytes(equirectangular()))
        track.boxes.append(spherical_v1(stereo))
    elif handler == b"soun":
        entry.content += bytes(spatial_audio())


def add_to_frame(entry: Box, boxes: bytes) -> None:
    """Append boxes to those in a video sample entry, before the four zeros that QuickTime may write at their end."""
    at = VISUAL_ENTRY_BYTES
    while at + 8 <= len(entry.content) and (size := int.from_bytes(entry.content[at : at + 4], "big")) >= 8:
        at += size
    entry.content = entry.content[:at] + boxes + entry.content[at:]


def shift_offsets(moov: Box) -> None:
    """Shift the chunk offsets by the index's size, now that it precedes the chunks. If an offset exceeds 32 bits, its
    table becomes 64-bit, which makes the index larger again."""
    tables = [(box, _offsets(box)) for box in moov.walk() if box.kind in {b"stco", b"co64"}]
    largest = max((max(offsets, default=0) for _, offsets in tables), default=0)
    while True:
        shift = len(bytes(moov))
        wide = largest + shift > _MAX_OFFSET
        for box, offsets in tables:
            box.kind = b"co64" if wide or box.kind == b"co64" else b"stco"
            letter = "Q" if box.kind == b"co64" else "I"
            shifted = (offset + shift for offset in offsets)
            box.content = struct.pack(f">II{len(offsets)}{letter}", 0, len(offsets), *shifted)
        if len(bytes(moov)) == shift:
            return


def _offsets(table: Box) -> tuple[int, ...]:
    (count,) = struct.unpack_from(">I", table.content, 4)
    return struct.unpack_from(f">{count}{'Q' if table.kind == b'co64' else 'I'}", table.content, 8)


def _copy(file: BinaryIO, out: BinaryIO, start: int, size: int, copied: Callable[[int], None]) -> None:
    file.seek(start)
    while size > 0:
        chunk = file.read(min(size, COPIED_AT_ONCE))
        if not chunk:
            raise ValueError("the file is shorter than its boxes say")
        out.write(chunk)
        copied(len(chunk))
        size -= len(chunk)
