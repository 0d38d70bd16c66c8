"""The audio track of a video as packets: 48 kHz, four channels in AmbiX order, streamed in constant memory."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import av
import av.container
import numpy as np
import numpy.typing as npt

from omniaudio.audio.ambisonics import CHANNELS, Sound
from omniaudio.audio.reader import SoundFile
from omniaudio.audio.resampling import resample
from omniaudio.errors import ExitCode, UserError

Packets: TypeAlias = "Iterator[av.Packet[av.AudioStream]]"

RATE = 48_000
"""Hz: what YouTube requires, and Opus' only full-band rate."""
BIT_RATE = 512_000
"""Bits per second of four channels; YouTube requires this for Opus, and half of it for AAC."""

_PCM_BLOCK = 4_800
"""Samples in a packet of PCM: a tenth of a second, so that a player finds sound near each frame."""


class Codec(StrEnum):
    """The audio codec."""

    PCM = "pcm"
    """24 bit, exact, in a MOV."""
    OPUS = "opus"
    """512 kb/s, channel mapping family 2 (RFC 8486), in an MP4."""
    AAC = "aac"
    """512 kb/s, four channels, in an MP4."""


class _Encoder(NamedTuple):
    """FFmpeg's encoder and its settings."""

    name: str
    layout: str
    sample_format: str
    options: dict[str, str]


_ENCODERS = {
    Codec.PCM: _Encoder("pcm_s24le", "ambisonic 1", "s32", {}),
    Codec.OPUS: _Encoder("libopus", "ambisonic 1", "flt", {"mapping_family": "2"}),
    # AAC has no ambisonics: four channels in FFmpeg's order of 4.0, which its decoder restores.
    Codec.AAC: _Encoder("aac", "4.0", "fltp", {}),
}


def length(sound: SoundFile) -> int:
    """The length of the track in whole samples at 48 kHz."""
    return sound.samples * RATE // sound.rate


def encoded(video: av.container.OutputContainer, sound: SoundFile, codec: Codec) -> Packets:
    """Add a track to a video and yield its packets.

    Sound at 48 kHz reaches PCM exactly, up to 24 bits. Raises UserError during iteration if the sound is damaged or
    exceeds full scale at 48 kHz; resampling from 44.1 kHz can raise peaks above it."""
    encoder = _ENCODERS[codec]
    stream = video.add_stream(encoder.name, rate=RATE, options=encoder.options)
    assert isinstance(stream, av.AudioStream)
    context = stream.codec_context
    context.layout, context.format = encoder.layout, encoder.sample_format
    if codec is not Codec.PCM:
        context.bit_rate = BIT_RATE
    context.open()
    return _encoded(stream, sound, encoder, context.frame_size or _PCM_BLOCK)


def _encoded(stream: av.AudioStream, sound: SoundFile, encoder: _Encoder, size: int) -> Packets:
    at = 0
    for piece in _pieces(_within_full_scale(sound), size):
        samples = _as_format(piece, encoder.sample_format)
        frame = av.AudioFrame.from_ndarray(samples, format=encoder.sample_format, layout=encoder.layout)
        frame.sample_rate, frame.pts = RATE, at
        at += piece.shape[1]
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _within_full_scale(sound: SoundFile) -> Iterator[Sound]:
    """Yield the sound at 48 kHz. Raises UserError if it exceeds full scale."""
    for block in resample(sound.blocks(), sound.rate, RATE, length(sound)):
        if np.abs(block).max(initial=0) > 1:
            raise UserError(
                f"{sound.path.name} exceeds full scale at 48 kHz and would clip; lower its level and export it again.",
                ExitCode.NO_INPUT,
            )
        yield block


def _pieces(blocks: Iterator[Sound], size: int) -> Iterator[Sound]:
    """Yield the sound in pieces of `size` samples; the last one may be shorter."""
    waiting: Sound = np.zeros((CHANNELS, 0), np.float32)
    for block in blocks:
        joined = np.concatenate([waiting, block], axis=1)
        whole = joined.shape[1] // size * size
        for start in range(0, whole, size):
            yield joined[:, start : start + size]
        waiting = joined[:, whole:]
    if waiting.shape[1]:
        yield waiting


def _as_format(piece: Sound, sample_format: str) -> npt.NDArray[np.float32] | npt.NDArray[np.int32]:
    """Convert samples `(4, n)` to PyAV's form: interleaved in one row, except for planar formats."""
    if sample_format == "s32":
        scale = 1 << 23
        integers = np.clip(np.rint(piece * scale), -scale, scale - 1).astype(np.int32) << 8
        return np.ascontiguousarray(integers.T).reshape(1, -1)
    if sample_format == "flt":
        return np.ascontiguousarray(piece.T).reshape(1, -1)
    return np.ascontiguousarray(piece)
