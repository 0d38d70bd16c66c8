"""Sounds inside containers of games are found again, with their credits."""

import gzip
import struct
import sys
from pathlib import Path

import pytest

from support.paths import REPOSITORY

# Last, since the recipe has modules of the same names as the tests' own.
sys.path.append(str(REPOSITORY / "build" / "draft_model"))
from containers import unpack_group, unpack_sound_set

from omniaudio.errors import UserError

GROUP = 1
HEADER, ENTRY = 204, 316


def sound_set(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A `.cat` of (title, sound)."""
    table, body = b"", b""
    for title, sound in parts:
        table += struct.pack("<II", 8 * len(parts) + len(body), len(sound))
        body += bytes([len(title) + 1]) + title + b"\0" + sound
    return table + body


def group(parts: dict[str, bytes | dict[str, bytes]]) -> bytes:
    """An OpenClonk group, not packed."""
    header = bytearray(HEADER)
    struct.pack_into("<i", header, 36, len(parts))
    for at in range(0, HEADER - 2, 3):
        header[at], header[at + 2] = header[at + 2], header[at]
    entries, body = b"", b""
    for name, part in parts.items():
        content = group(dict(part)) if isinstance(part, dict) else part
        fields = struct.pack("<5i", 1, isinstance(part, dict), len(content), 0, len(body))
        entries += (name.encode().ljust(260, b"\0") + fields).ljust(ENTRY, b"\0")
        body += content
    return bytes(byte ^ 237 for byte in header) + entries + body


def packed(blob: bytes) -> bytes:
    return b"\x1e\x8c" + gzip.compress(blob, mtime=0)[2:]


def test_a_sound_set_gives_its_recordings_and_credits(tmp_path: Path) -> None:
    unpack_sound_set(sound_set([(b"Cow, by A", b"RIFFmoo"), (b"Rain, by B", b"RIFFhiss")]), tmp_path)
    assert (tmp_path / "00.wav").read_bytes() == b"RIFFmoo"
    assert (tmp_path / "01.txt").read_bytes() == b"Rain, by B"
    assert (tmp_path / "01.wav").read_bytes() == b"RIFFhiss"


def test_a_group_gives_its_tree(tmp_path: Path) -> None:
    unpack_group(packed(group({"authors.txt": b"A", "Rain.ocg": {"Loop.ogg": b"drops"}})), tmp_path)
    assert (tmp_path / "authors.txt").read_bytes() == b"A"
    assert (tmp_path / "Rain" / "Loop.ogg").read_bytes() == b"drops"


@pytest.mark.parametrize("blob", [b"", b"\x1e\x8cabc", packed(b"short")])
def test_what_is_no_group_is_refused(blob: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="OpenClonk"):
        unpack_group(blob, tmp_path)


@pytest.mark.parametrize("blob", [b"", b"\x08\0\0\0\xff\0\0\0"])
def test_what_is_no_sound_set_is_refused(blob: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="OpenTTD"):
        unpack_sound_set(blob, tmp_path)
