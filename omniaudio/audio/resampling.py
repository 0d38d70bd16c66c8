"""Sampling-rate conversion of a stream in constant memory, by soxr at its VHQ setting."""

from collections.abc import Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def resample(blocks: Iterator[Float32], rate: int, target_rate: int, samples: int) -> Iterator[Float32]:
    """Resample a stream of sound.

    Args:
        blocks: consecutive blocks, `(channels, any)` each.
        rate: their sampling rate in Hz.
        target_rate: the output's sampling rate in Hz.
        samples: the number of samples to yield at `target_rate`; the rest is cut.

    Raises:
        ValueError: the stream is shorter than that.
    """
    left = samples
    for block in _resampled(blocks, rate, target_rate):
        if left <= 0:
            return
        yield block[:, :left]
        left -= block.shape[1]
    if left > 0:
        raise ValueError(f"the sound is {left} samples too short")


def _resampled(blocks: Iterator[Float32], rate: int, target_rate: int) -> Iterator[Float32]:
    if rate == target_rate:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    channels = 1
    for block in blocks:
        if stream is None:
            channels = len(block)
            stream = soxr.ResampleStream(rate, target_rate, channels, dtype="float32", quality="VHQ")
        yield stream.resample_chunk(block.T).reshape(-1, channels).T
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels).T
