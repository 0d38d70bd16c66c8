"""Takes the sounds out of containers that packages have inside: OpenTTD's sound set and OpenClonk's groups."""

import struct
import zlib
from pathlib import Path

from omniaudio.errors import UserError

GROUP_HEADER, GROUP_ENTRY, GROUP_NAME = 204, 316, 260  # bytes
GROUP_FIELDS = struct.Struct("<4xi i4xi")  # of an entry behind its name: a group itself, size, offset
SCRAMBLED = 237  # the header is xored with it, and the outer two of every three bytes change places


def unpack_sound_set(blob: bytes, folder: Path) -> None:
    """Writes the recordings of an OpenTTD `.cat` as `00.wav` and so on, and their credits as `00.txt`.

    Raises UserError for anything else.
    """
    try:
        _write_sound_set(blob, folder)
    except (struct.error, IndexError):
        raise UserError("That .cat file is no OpenTTD sound set; take the package version in the catalogue.") from None


def _write_sound_set(blob: bytes, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (first,) = struct.unpack_from("<I", blob)
    for number in range((first & 0x7FFFFFFF) // 8):
        offset, size = struct.unpack_from("<II", blob, 8 * number)
        offset &= 0x7FFFFFFF
        title = offset + 1
        sound = title + blob[offset]
        (folder / f"{number:02d}.txt").write_bytes(blob[title:sound].rstrip(b"\0"))
        (folder / f"{number:02d}.wav").write_bytes(blob[sound : sound + size])


def unpack_group(blob: bytes, folder: Path) -> None:
    """Writes the tree of an OpenClonk group (`.ocg`), a gzip stream with two other bytes at its start.

    Raises UserError for anything else.
    """
    try:
        _write_group(zlib.decompress(b"\x1f\x8b" + blob[2:], wbits=31), folder)
    except (zlib.error, struct.error):
        raise UserError("That .ocg file is no OpenClonk group; take the package version in the catalogue.") from None


def _write_group(blob: bytes, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (count,) = struct.unpack_from("<i", _unscrambled(blob[:GROUP_HEADER]), 36)
    contents = GROUP_HEADER + count * GROUP_ENTRY
    for number in range(count):
        at = GROUP_HEADER + number * GROUP_ENTRY
        name = blob[at : at + GROUP_NAME].split(b"\0")[0].decode("latin-1")
        is_group, size, offset = GROUP_FIELDS.unpack_from(blob, at + GROUP_NAME)
        content = blob[contents + offset : contents + offset + size]
        if is_group:
            _write_group(content, folder / Path(name).stem)
        else:
            (folder / Path(name).name).write_bytes(content)


def _unscrambled(header: bytes) -> bytes:
    plain = bytearray(byte ^ SCRAMBLED for byte in header)
    for at in range(0, len(plain) - 2, 3):
        plain[at], plain[at + 2] = plain[at + 2], plain[at]
    return bytes(plain)
