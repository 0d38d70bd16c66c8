"""Writing 24-bit WAVs with true-peak limiting."""

import tempfile
import wave
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from omniaudio.audio.ambisonics import CHANNELS, Floats
from omniaudio.audio.loudness import TruePeakMeter, decibels, limiter_gain
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import partial_file, refusals

BYTES_PER_SAMPLE = 3
FULL_SCALE = 1 << 23
WAV_LIMIT = (1 << 32) - 1024
"""Bytes of sound in a plain WAV, whose sizes have 32 bits. RF64 allows more, but libsndfile adds a speaker mask to it,
and players then treat ambisonics as quadraphonics."""

_BLOCK = 1 << 16


class AmbixWriter:
    """Writes a sound block by block to a plain 24-bit WAV with a true peak of at most −1 dBTP.

    The gain depends on the whole sound's peak, so the blocks are spooled to an unnamed file next to the target (16
    bytes per sample of 4 channels) and scaled at the end: memory is constant for any length. There is no dither, so
    that equal sounds give equal files. The binaural preview is written in the same way, with two channels.

    >>> with AmbixWriter(path, 48000) as writer:
    ...     writer.write(block)
    >>> writer.gain_db
    """

    gain_db: float
    """Gain of the true-peak limiter in dB, 0 or less; known after the `with` block."""
    true_peak_dbtp: float | None
    """The true peak of the file; None for silence."""

    def __init__(self, path: Path, rate: int, channels: int = CHANNELS, *, limit: bool = True) -> None:
        """`limit` lowers the sound below the ceiling of true peaks; false for one that was limited before."""
        self.path = path
        self.limit = limit
        self.rate = rate
        self.channels = channels
        self.samples = 0
        self._limit = WAV_LIMIT // (BYTES_PER_SAMPLE * channels)
        self._meter = TruePeakMeter(channels, rate)
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with refusals(self.path), ExitStack() as stack:
            self._partial = stack.enter_context(partial_file(self.path))
            self._spool = stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
            self._files = stack.pop_all()
        return self

    def write(self, block: Floats) -> None:
        """Append samples `(channels, samples)`; full scale is 1."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"blocks are ({self.channels}, samples), not {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError("the sound has samples that are infinite or NaN")
        self.samples += block.shape[1]
        if self.samples > self._limit:
            hours = self._limit / self.rate / 3600
            raise UserError(
                f"{self.path} would exceed 4 GB, the limit of a WAV; generate parts shorter than {hours:.1f} hours "
                f"with --start and --duration.",
                ExitCode.NOT_WRITABLE,
            )
        self._meter.process(block)
        with refusals(self.path):
            self._spool.write(block.T.astype("<f4").tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._files.__exit__(kind, error, trace)
            return
        with refusals(self.path), self._files:
            self._finish()

    def _finish(self) -> None:
        peak = self._meter.finish()
        gain = limiter_gain(peak) if self.limit else 1.0
        self._spool.seek(0)
        with wave.open(str(self._partial), "wb") as target:
            target.setnchannels(self.channels)
            target.setsampwidth(BYTES_PER_SAMPLE)
            target.setframerate(self.rate)
            while chunk := self._spool.read(_BLOCK * self.channels * 4):
                target.writeframesraw(_pcm24(np.frombuffer(chunk, "<f4") * gain))
        self.gain_db = decibels(gain) or 0.0
        self.true_peak_dbtp = decibels(peak * gain)


def _pcm24(samples: Floats) -> bytes:
    """Convert to little-endian 24-bit integers, clipped at full scale."""
    integers = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i4")
    return integers.view(np.uint8).reshape(-1, 4)[:, :BYTES_PER_SAMPLE].tobytes()
