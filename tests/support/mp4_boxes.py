"""Boxes of MP4 files, put into files that PyAV has written."""

import struct
from pathlib import Path


def box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def put_boxes(path: Path, track: bytes = b"", entry: bytes = b"") -> None:
    """Adds boxes at the end of an MP4's track, or of its only sample entry. The index is behind the media data."""

    def walk(data: bytes, depth: int) -> bytes:
        out = b""
        while data:
            size, kind = struct.unpack(">I4s", data[:8])
            body, data = data[8:size], data[size:]
            if depth < len(PATH) and kind == PATH[depth]:
                if kind == b"stsd":
                    body = body[:8] + box(body[12:16], body[16:], entry)
                else:
                    body = walk(body, depth + 1) + (track if kind == b"trak" else b"")
            out += box(kind, body)
        return out

    PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")  # noqa: N806
    path.write_bytes(walk(path.read_bytes(), 0))


def st3d(mode: int) -> bytes:
    return box(b"st3d", bytes(4), bytes([mode]))


def sv3d(projection: bytes) -> bytes:
    return box(b"sv3d", box(b"svhd", bytes(4), b"test\0"), box(b"proj", box(b"prhd", bytes(16)), projection))


def equi(left: int = 0, right: int = 0) -> bytes:
    return box(b"equi", bytes(4), struct.pack(">4I", 0, 0, left, right))


def posed_sv3d(yaw: int) -> bytes:
    pose = box(b"prhd", bytes(4), struct.pack(">iii", yaw << 16, 0, 0))
    return box(b"sv3d", box(b"svhd", bytes(4), b"test\0"), box(b"proj", pose, equi()))
