"""The length of a video by its container's header, and whether the file contains all of it."""

import os
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
import av.container
import av.error

from omniaudio.video.container import mean_rate, open_file

_MATROSKA, _FLASH = "matroska", "flv"
_INDEXED = frozenset({"mov", "mxf"})
"""Containers whose header has the length of each stream; in others FFmpeg looks for the last time stamp."""

_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
"""Matroska's elements: RFC 8794, section 11.2.1, and RFC 9559, section 5.1."""


class Declared(NamedTuple):
    """The end that a header declares."""

    end: Fraction
    """In seconds, on the stream's own clock."""
    of_stream: bool
    """Whether it is the video stream's end; else it is that of all streams, which may be later."""


def declared_end(container: av.container.InputContainer, stream: av.VideoStream, begin: Fraction) -> Declared | None:
    """The declared end of a stream whose first frame is shown at `begin` seconds; None if its header has none, as in
    MPEG-TS, live recordings and raw streams."""
    form = container.format.name.split(",")[0]
    if form == "avi" and stream.frames:  # FFmpeg shortens its duration to what the file contains.
        return Declared(begin + stream.frames / mean_rate(stream), True)
    if form in _INDEXED and stream.duration and stream.time_base is not None:
        return Declared(begin + stream.duration * stream.time_base, True)
    if form in (_MATROSKA, _FLASH) and container.duration:
        return Declared(Fraction(container.duration, av.time_base), False)
    return None


def is_whole(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, packets: int, end: Fraction
) -> bool:
    """Whether a file is complete although its frames end before the header says: the index counts no more `packets`
    than were read, a Matroska segment ends within the file, or another stream reaches `end`, in seconds."""
    form = container.format.name.split(",")[0]
    if form == _MATROSKA and (segment_end := _segment_end(path)) is not None:
        return segment_end <= path.stat().st_size
    if stream.frames:
        return packets >= stream.frames
    return form in (_MATROSKA, _FLASH) and _last_end(path) >= end


def _last_end(path: Path) -> Fraction:
    """The end of the last packet of all streams, in seconds."""
    end = Fraction(0)
    with open_file(path) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        except av.error.FFmpegError:  # A truncated file just ends.
            pass
    return end


def _segment_end(path: Path) -> int | None:
    """The byte at which Matroska's segment ends by its header; None if it is unknown, as in live streams."""
    with path.open("rb") as file:
        if file.read(4) != _EBML or (size := _element_size(file)) is None:
            return None
        file.seek(size, os.SEEK_CUR)
        if file.read(4) != _SEGMENT or (size := _element_size(file)) is None:
            return None
        return file.tell() + size


def _element_size(file: BinaryIO) -> int | None:
    """Read an EBML size, in bytes; None if it is unknown. The number of leading zeros of its first byte, plus one, is
    the size's own length in bytes."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    unknown = (1 << 7 * length) - 1
    size = int.from_bytes(first + file.read(length - 1), "big") & unknown
    return None if size == unknown else size
