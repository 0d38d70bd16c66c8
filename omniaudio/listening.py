"""What first-order ambisonics sounds like on headphones: a binaural preview by packaged head-related filters.

The filters are Omnitone's, from measurements of the SADIE project (`data/README.md`). Its head is symmetric: the left
ear hears W + Y + Z + X, each channel through its filter, and the right ear W − Y + Z + X. That is a preview, and the
ambisonic file is the master: first-order filters say little of elevation.
"""

from functools import cache
from importlib.resources import files
from math import gcd

import numpy as np
import soundfile
from scipy.signal import oaconvolve, resample_poly

from omniaudio.ambisonics import CHANNELS, Floats, Sound, W, X, Y, rotate, rotation_matrix


class BinauralRenderer:
    """Ambisonics in blocks of any size to binaural sound, with constant memory.

    The filters' delay is taken out, so that the preview is as long as its source and in time with the picture: what
    `process` still owes at the end comes by `finish`."""

    def __init__(self, rate: int, yaw: float = 0.0) -> None:
        """`rate` is the sound's in Hz. `yaw` turns the listener's head to the left, in radians."""
        self._filters, self._delay = _filters(rate)
        self._scene = rotation_matrix(yaw).T if yaw else None
        self._tail: Floats = np.zeros((2, self._filters.shape[1] - 1))
        self._skip = self._delay

    def process(self, foa: Sound) -> Sound:
        """The next block `(4, samples)` as `(2, samples)`, left and right; the first comes short by the delay."""
        if self._scene is not None:
            foa = rotate(foa, self._scene)
        heard = oaconvolve(foa, self._filters, axes=1) if foa.shape[1] else np.zeros((CHANNELS, len(self._tail[0])))
        side = heard[Y]
        middle = heard.sum(axis=0) - side
        ears = np.stack([middle + side, middle - side])
        ears[:, : self._tail.shape[1]] += self._tail
        ready, self._tail = np.split(ears, [foa.shape[1]], axis=1)
        skipped = min(self._skip, ready.shape[1])
        self._skip -= skipped
        return np.asarray(ready[:, skipped:], dtype=np.float32)

    def finish(self) -> Sound:
        """The last samples `(2, at most the delay)`, which complete the source's length."""
        return np.asarray(self._tail[:, self._skip : self._delay], dtype=np.float32)


def binaural(foa: Sound, rate: int, yaw: float = 0.0) -> Sound:
    """Ambisonics `(4, samples)` at `rate` Hz as `(2, samples)`, left and right, in time with its source.

    `yaw` turns the listener's head to the left, in radians."""
    renderer = BinauralRenderer(rate, yaw)
    return np.concatenate([renderer.process(foa), renderer.finish()], axis=1)


@cache
def _filters(rate: int) -> tuple[Floats, int]:
    """The left ear's filters `(4, taps)` at a rate, and the delay: the samples after which the front is heard."""
    with (files("omniaudio") / "data" / "sadie_foa_hrir.wav").open("rb") as stream:
        samples, measured_rate = soundfile.read(stream)
    common = gcd(rate, measured_rate)
    resampled = resample_poly(samples.T, rate // common, measured_rate // common, axis=1)
    # A filter's gain is the sum of its taps, and there are more of them at a higher rate.
    filters = resampled * (measured_rate / rate)
    return filters, int(np.argmax(np.abs(filters[W] + filters[X])))
