"""Reading from a sound file's chunks what libsndfile does not report: the declared sub-format and channel layout, and
whether all of the announced sound is present.

Sources: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF); ITU-R BS.2088 (RF64
and BW64); Sony, "Wave64"; Apple, "Audio Interchange File Format" and "Core Audio Format Specification 1.0"; RFC 3533
(Ogg).
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple
from uuid import UUID

_UNKNOWN = {b"RIFF": 0x7FFF_F000, b"RIFX": 0x7FFF_F000, b"caff": (1 << 64) - 1}
"""Sizes from here on are placeholders by programs that could not seek back to correct them: in a WAV 0x7FFFF000 (SoX)
or 0xFFFFFFFF (FFmpeg), in a CAF −1."""
_UNKNOWN_SUN = 0xFFFF_FFFF
_EXTENSIBLE = 0xFFFE
_LINEAR = frozenset({1, 3, _EXTENSIBLE})
"""Format tags of integers and floats."""

_MAX_CHUNKS = 1000
_MAX_BYTES = 4 << 20
"""Limit of a chunk's content that is read."""
_KEPT = frozenset({b"fmt ", b"axml", b"chan", b"CHAN"})
_SOUND = frozenset({b"data", b"SSND"})
_MAX_PAGE_BYTES = 27 + 255 + 255 * 255
"""Bytes of an Ogg page."""


class SoundChunks(NamedTuple):
    """The contents of a file's chunks; empty for a format without chunks, such as FLAC."""

    byte_order: Literal["little", "big"]
    contents: dict[bytes, bytes]
    """Of the chunks `fmt `, `axml`, `chan` and `CHAN`, if present; the first of each."""
    announced: int | None
    """Bytes of sound by the header; None if it does not say."""
    present: int
    """Bytes of sound in the file, at most as many as announced."""

    @property
    def sub_format(self) -> UUID | None:
        """The sub-format of an extensible WAV; None for any other file."""
        form = self.contents.get(b"fmt ", b"")
        if len(form) < 40 or self._number(form, 0) != _EXTENSIBLE:
            return None
        return UUID(bytes_le=form[24:40]) if self.byte_order == "little" else UUID(bytes=form[24:40])

    @property
    def frame_is_consistent(self) -> bool:
        """Whether channels and bits match the bytes per frame in a WAV's header; true for other files."""
        form = self.contents.get(b"fmt ", b"")
        if len(form) < 16 or self._number(form, 0) not in _LINEAR:
            return True
        channels, frame_bytes, bits = (self._number(form, at) for at in (2, 12, 14))
        return frame_bytes == channels * -(-bits // 8)

    @property
    def missing(self) -> int:
        """Bytes of sound that were announced but are missing."""
        return 0 if self.announced is None else self.announced - self.present

    def _number(self, form: bytes, at: int) -> int:
        return int.from_bytes(form[at : at + 2], self.byte_order)


class _Form(NamedTuple):
    """The layout of chunks in a file format."""

    byte_order: Literal["little", "big"]
    begin: int
    """Offset of the first chunk."""
    name: int = 4
    """Bytes of a chunk's name."""
    size: int = 4
    """Bytes of a chunk's size field."""
    align: int = 2
    whole: bool = False
    """Whether the size includes name and size field."""


_FORMS = {
    b"RIFF": _Form("little", 12),
    b"RF64": _Form("little", 12),
    b"BW64": _Form("little", 12),
    b"RIFX": _Form("big", 12),
    b"FORM": _Form("big", 12),
    b"caff": _Form("big", 8, size=8, align=1),
    b"riff": _Form("little", 40, name=16, size=8, align=8, whole=True),
}
_NO_CHUNKS = _Form("little", 0)
_KINDS = frozenset({b"WAVE", b"AIFF", b"AIFC"})


def read_chunks(path: Path) -> SoundChunks:
    """Read the chunks of a file, up to the first damaged one. Raises OSError."""
    contents: dict[bytes, bytes] = {}
    announced, present = None, 0
    with path.open("rb") as stream:
        head = stream.read(12)
        magic, kind = head[:4], head[8:]
        form = _FORMS.get(magic, _NO_CHUNKS)
        if form.begin == len(head) and kind not in _KINDS:  # a video or an image, such as AVI and WebP
            form = _NO_CHUNKS
        end = os.fstat(stream.fileno()).st_size
        if magic == b".snd":  # Sun's format, which has no chunks
            begin, announced = struct.unpack(">II", head[4:].ljust(8, b"\0"))
            announced = None if announced == _UNKNOWN_SUN else announced
            present = min(max(0, end - begin), announced or 0)
        large = None
        for name, begin, size in _chunks(stream, form, end) if form.begin else ():
            if name in _KEPT:
                contents.setdefault(name, stream.read(min(size, _MAX_BYTES)))
            elif name == b"ds64":
                large = int.from_bytes(stream.read(16)[8:], "little")
            elif name in _SOUND and announced is None:
                announced = large if large is not None and size == 0xFFFF_FFFF else size
                if size >= _UNKNOWN.get(magic, 1 << 64):
                    announced = None
                present = min(end - begin, announced or 0)
    return SoundChunks(form.byte_order, contents, announced, present)


def _chunks(stream: IO[bytes], form: _Form, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, the start of its content and its announced size; the stream is at the content."""
    at = form.begin
    for _ in range(_MAX_CHUNKS):
        stream.seek(at)
        head = stream.read(form.name + form.size)
        if len(head) < form.name + form.size:
            return
        begin = at + len(head)
        size = int.from_bytes(head[form.name :], form.byte_order)
        size = max(0, size - len(head)) if form.whole else size
        yield head[:4], begin, size
        at = begin + size + -(begin + size) % form.align
        if at >= end:
            return


def opus_mapping(path: Path) -> int | None:
    """The channel mapping family of an Ogg Opus file (RFC 7845, section 5.1); None for other files. Raises OSError."""
    with path.open("rb") as stream:
        page = stream.read(64)
    if not page.startswith(b"OggS") or page[28:36] != b"OpusHead" or len(page) < 47:
        return None
    return page[46]


def last_page_is_cut(path: Path) -> bool:
    """Whether a file is Ogg and ends within a page. Raises OSError."""
    with path.open("rb") as stream:
        if stream.read(4) != b"OggS":
            return False
        end = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, end - 2 * _MAX_PAGE_BYTES))
        tail = stream.read()
    # The capture pattern may occur in content by chance: pages are followed from each one until they lead to the end.
    at = tail.find(b"OggS")
    while at >= 0:
        segments = tail[at + 26 : at + 27]
        table = tail[at + 27 : at + 27 + segments[0]] if segments else b""
        if not segments or len(table) < segments[0]:
            return True
        following = at + 27 + len(table) + sum(table)
        if following == len(tail):
            return False
        at = following if tail[following : following + 4] == b"OggS" else tail.find(b"OggS", at + 1)
    return True
