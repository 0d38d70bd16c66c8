"""Places a mono stem in ambisonics of first to third order: a source on its path, the bed all around.

Channels are ACN, SN3D (Nachbar et al., "AmbiX", 2011); the polynomials are those of Zotter and Frank, "Ambisonics"
(2019), appendix A.3, in the components of a unit vector.
"""

from math import sqrt

import numpy as np

from omniaudio.audio.ambisonics import Floats, Sound

REFERENCE_SPL, REFERENCE_DBFS = 70.0, -23.0
"""A source of 70 dB SPL, such as somebody speaking nearby, has −23 dBFS while it sounds (the level of EBU R 128)."""
LEVEL_SLOPE = 0.5
"""Decibels in the file per decibel of typical level. The world's range, from a fly to a siren, is halved so that quiet
sources are heard. The effects of distance and of a source's gain are not halved."""
SOURCE_RANGE, BED_RANGE = (-32.0, -11.0), (-48.0, -36.0)
"""Limits of typical levels in dBFS, so that sources are heard above the bed."""
BED_BELOW = 6.0
"""Decibels by which a bed is below a source of the same typical level."""

DIFFUSER_SECONDS = 0.03
"""Length of the filters that spread a bed over all directions."""


def channels(order: int) -> int:
    """The number of channels of an ambisonic order, 1 to 3."""
    return (order + 1) ** 2


def harmonics(directions: Floats, order: int) -> Sound:
    """Gains `(directions, channels)` of plane waves from unit vectors `(directions, 3)`, in (x, y, z)."""
    x, y, z = np.asarray(directions, np.float64).T
    gains = [np.ones_like(x), y, z, x]
    if order >= 2:
        gains += [
            sqrt(3) * x * y,
            sqrt(3) * y * z,
            (3 * z**2 - 1) / 2,
            sqrt(3) * x * z,
            sqrt(3) / 2 * (x**2 - y**2),
        ]
    if order >= 3:
        gains += [
            sqrt(5 / 8) * y * (3 * x**2 - y**2),
            sqrt(15) * x * y * z,
            sqrt(3 / 8) * y * (5 * z**2 - 1),
            z * (5 * z**2 - 3) / 2,
            sqrt(3 / 8) * x * (5 * z**2 - 1),
            sqrt(15) / 2 * z * (x**2 - y**2),
            sqrt(5 / 8) * x * (x**2 - 3 * y**2),
        ]
    return np.stack(gains, axis=1).astype(np.float32)


def file_level(spl: float, *, bed: bool) -> float:
    """The level in the file, in dBFS while it sounds, for a typical `spl` in dB SPL at the listener."""
    lowest, highest = BED_RANGE if bed else SOURCE_RANGE
    level = REFERENCE_DBFS + LEVEL_SLOPE * (spl - REFERENCE_SPL) - (BED_BELOW if bed else 0.0)
    return min(highest, max(lowest, level))


class Diffuser:
    """Turns a mono sound into a diffuse field, block by block.

    W is the sound itself. Every other channel is the sound through a filter of flat magnitude and random phase, with
    the power of a diffuse field in that channel, 1 / (2·order + 1) of W's.
    """

    def __init__(self, rate: int, order: int) -> None:
        """`rate` in Hz."""
        taps = round(DIFFUSER_SECONDS * rate)
        generator = np.random.default_rng(0)
        orders = np.floor(np.sqrt(np.arange(channels(order)))).astype(int)
        phases = generator.uniform(-np.pi, np.pi, (len(orders), taps // 2 + 1))
        filters = np.fft.irfft(np.exp(1j * phases), taps)
        filters /= np.linalg.norm(filters, axis=1, keepdims=True) * np.sqrt(2 * orders + 1)[:, None]
        self._filters = filters[1:].astype(np.float32)
        self._tail: Sound = np.zeros((len(filters) - 1, taps - 1), np.float32)

    def process(self, block: Sound) -> Sound:
        """The next samples `(samples,)` as `(channels, samples)`."""
        length = len(block) + self._tail.shape[1]
        points = 1 << (length - 1).bit_length()
        heard = np.fft.irfft(np.fft.rfft(block, points) * np.fft.rfft(self._filters, points), points)[:, :length]
        heard[:, : self._tail.shape[1]] += self._tail
        ready, self._tail = np.split(heard.astype(np.float32), [len(block)], axis=1)
        return np.concatenate([block[None], ready])
