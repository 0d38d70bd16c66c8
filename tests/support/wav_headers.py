"""Sound files made byte by byte, so that their headers may say anything."""

import struct

import numpy as np

from omniaudio.audio.ambisonics import Sound

B_FORMAT_PCM = bytes.fromhex("010000002107d3118644c8c1ca000000")
B_FORMAT_FLOAT = bytes.fromhex("030000002107d3118644c8c1ca000000")


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """One of a RIFF file; it says `size` where that is given."""
    said = len(content) if size is None else size
    return name + struct.pack("<I", said) + content + b"\0" * (len(content) % 2)


def pcm16(sound: Sound) -> bytes:
    return np.rint(sound.T * 32767).astype("<i2").tobytes()


def form(
    channels: int = 4, rate: int = 48000, bits: int = 16, *, tag: int = 1, align: int | None = None, guid: bytes = b""
) -> bytes:
    """The content of a `fmt ` chunk; an extensible one with `guid`."""
    align = channels * bits // 8 if align is None else align
    plain = struct.pack(
        "<HHIIHH", 0xFFFE if guid else tag, channels, rate, rate * align & 0xFFFF_FFFF, align & 0xFFFF, bits
    )
    return plain + struct.pack("<HHI", 22, bits, 0) + guid if guid else plain


def riff(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body)) + body


def wav(sound: Sound, *before: bytes, size: int | None = None, **header: int | bytes | None) -> bytes:
    """A 16-bit WAV: the chunks `before`, then its form, then the sound, whose chunk says `size`."""
    return riff(*before, chunk(b"fmt ", form(**header)), chunk(b"data", pcm16(sound), size))  # type: ignore[arg-type]
