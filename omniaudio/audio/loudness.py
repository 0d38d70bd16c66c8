"""The level of a sound, its true peak, and the gain that keeps the peak below the ceiling.

Source of the true peak: ITU-R BS.1770-5, annex 2.
"""

from functools import cache
from math import log10

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from omniaudio.audio.ambisonics import Floats

CEILING_DBTP = -1.0
"""The highest true peak that is written: headroom for the overshoot of lossy codecs (EBU R 128)."""

_INTERPOLATOR_SPAN = 16
"""Samples on each side from which a value between two samples is interpolated."""
_KAISER_BETA = 8.0
"""Shape of the window of the interpolating sinc."""
_TOGETHER = 32
"""Intervals between samples that one row of the interpolation covers."""


def decibels(amplitude: float) -> float | None:
    """dB relative to full scale (1.0); None for silence."""
    return 20 * log10(amplitude) if amplitude > 0 else None


class TruePeakMeter:
    """Measures block by block the largest magnitude that a sound reaches between its samples.

    Oversamples to at least 192 kHz, as BS.1770 specifies: 4 times at 44.1 and 48 kHz."""

    def __init__(self, channels: int, rate: int) -> None:
        self._factor = max(1, -(-192_000 // max(rate, 48_000)))
        self._interpolate = _interpolator(self._factor)
        self._waiting: Floats = np.zeros((channels, 2 * _INTERPOLATOR_SPAN - 1), np.float32)
        self._peak = 0.0

    def process(self, block: Floats) -> None:
        """Measure the next samples `(channels, samples)`."""
        joined = np.concatenate([self._waiting, block], axis=1)
        reach = len(self._interpolate)
        spans = max(0, joined.shape[1] - reach + _TOGETHER) // _TOGETHER
        self._waiting = joined[:, spans * _TOGETHER :]
        self._peak = max(self._peak, _largest(block))
        if spans:
            rows = sliding_window_view(joined, reach, axis=1)[:, ::_TOGETHER].reshape(-1, reach)
            self._peak = max(self._peak, _largest(rows @ self._interpolate))

    def finish(self) -> float:
        """End the sound and return its true peak as an amplitude; full scale is 1."""
        # Enough silence for the last interval that the sound reaches, wherever the last span began.
        self.process(np.zeros((len(self._waiting), len(self._interpolate)), np.float32))
        return self._peak


def true_peak(signal: Floats, rate: int) -> float:
    """The true peak of a sound `(samples,)` or `(channels, samples)` as an amplitude; full scale is 1."""
    channels = np.atleast_2d(signal)
    meter = TruePeakMeter(channels.shape[0], rate)
    meter.process(channels)
    return meter.finish()


def limiter_gain(peak: float) -> float:
    """The factor that lowers a true peak to the ceiling of −1 dBTP; 1 if it is below: nothing is amplified."""
    ceiling = float(10 ** (CEILING_DBTP / 20))
    return min(1.0, ceiling / peak) if peak > 0 else 1.0


@cache
def _interpolator(factor: int) -> Floats:
    """The matrix from neighbouring samples to the `factor` − 1 values in each of `_TOGETHER` intervals between them.

    A row of samples `(reach,)` times this `(reach, values)`; a matrix product is ten times as fast as the filter."""
    before = np.arange(1 - _INTERPOLATOR_SPAN, _INTERPOLATOR_SPAN + 1)[:, None]
    distance = before - np.arange(1, factor) / factor
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (distance / _INTERPOLATOR_SPAN) ** 2)) / np.i0(_KAISER_BETA)
    matrix = np.zeros((len(before) + _TOGETHER - 1, _TOGETHER, factor - 1), np.float32)
    for interval in range(_TOGETHER):
        matrix[interval : interval + len(before), interval] = np.sinc(distance) * window
    return matrix.reshape(len(matrix), -1)


def _largest(values: Floats) -> float:
    """The largest magnitude; 0 if empty."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))
