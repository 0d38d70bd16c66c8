"""Binaural rendering of first-order ambisonics with packaged head-related filters.

The filters are Omnitone's, from measurements of the SADIE project (`hrir/README.md`). The head is symmetric: the left
ear hears W + Y + Z + X, each channel through its filter, and the right ear W − Y + Z + X. The result is a preview; the
ambisonic file is the master. First-order filters convey little elevation.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from wave import open as open_wave

import numpy as np
import soxr
from pydantic import BaseModel, ConfigDict, Field

from omniaudio.audio.ambisonics import CHANNELS, Sound, W, X, Y, Z, rotate, rotation_matrix
from omniaudio.audio.ambix_wav import AmbixWriter
from omniaudio.audio.reader import BLOCK, open_sound
from omniaudio.output import check_output
from omniaudio.paths import InputPath, OutputPath
from omniaudio.progress import Progress, Report, Task

EARS = 2


class BinauralRequest(BaseModel):
    """A binaural rendering of `sound` (AmbiX unless the file declares another convention) to `output`, a stereo WAV.

    The angles orient the listener's head, in degrees: positive yaw turns it left, positive pitch raises the nose,
    positive roll raises the left ear."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: InputPath
    output: OutputPath
    yaw: float = Field(default=0.0, allow_inf_nan=False)
    pitch: float = Field(default=0.0, allow_inf_nan=False)
    roll: float = Field(default=0.0, allow_inf_nan=False)


class BinauralRenderer:
    """Renders blocks of ambisonics to binaural sound in constant memory; blocks may have any size.

    The filters' delay is removed, so that the preview has the length of its source and stays in sync with the frames.
    `process` therefore runs behind by the delay; `finish` returns the remaining samples."""

    def __init__(self, rate: int, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> None:
        """`rate` in Hz. The angles orient the listener's head, in radians: see `rotation_matrix`."""
        self._filters, self._delay = _filters(rate)
        self._scene = rotation_matrix(yaw, pitch, roll).T if yaw or pitch or roll else None
        self._tail: Sound = np.zeros((EARS, self._filters.shape[1] - 1), np.float32)
        self._skip = self._delay

    def process(self, foa: Sound) -> Sound:
        """Render a block `(4, samples)` to `(2, samples)`, left and right; the first result is shorter by the delay."""
        if self._scene is not None:
            foa = rotate(foa, self._scene)
        length = foa.shape[1] + self._tail.shape[1]
        points = 1 << (length - 1).bit_length()
        heard = np.fft.rfft(foa.astype(np.float32, copy=False), points) * np.fft.rfft(self._filters, points)
        middle, side = np.fft.irfft([heard[W] + heard[Z] + heard[X], heard[Y]], points)[:, :length]
        ears = np.stack([middle + side, middle - side])
        ears[:, : self._tail.shape[1]] += self._tail
        ready, self._tail = np.split(ears, [foa.shape[1]], axis=1)
        skipped = min(self._skip, ready.shape[1])
        self._skip -= skipped
        return ready[:, skipped:]

    def finish(self) -> Sound:
        """Return the last samples `(2, at most the delay)`, which complete the source's length."""
        return self._tail[:, self._skip : self._delay]


def binaural(foa: Sound, rate: int, yaw: float = 0.0) -> Sound:
    """Render ambisonics `(4, samples)` at `rate` Hz to `(2, samples)`, left and right, in sync with its source.

    `yaw` turns the listener's head to the left, in radians."""
    renderer = BinauralRenderer(rate, yaw)
    return np.concatenate([renderer.process(foa), renderer.finish()], axis=1)


def write_binaural(request: BinauralRequest, report: Callable[[Report], None]) -> Path:
    """Write a binaural rendering with the length and sampling rate of its source.

    Args:
        request: the sound, the output and the listener's orientation.
        report: called after each step; an exception cancels the job, and no partial file is left.

    Returns:
        The file that was written.

    Raises:
        UserError: the sound cannot be read, or the output cannot be written.
    """
    sound = open_sound(request.sound)
    check_output(request.output, ".wav", request.sound)
    renderer = BinauralRenderer(sound.rate, *np.radians([request.yaw, request.pitch, request.roll]))
    progress = Progress(report, [Task("render", -(-sound.samples // BLOCK), BLOCK / sound.rate / 100)])
    progress.begin("render")
    with AmbixWriter(request.output, sound.rate, channels=EARS) as writer:
        for block in sound.blocks():
            writer.write(renderer.process(block))
            progress.advance("render")
        writer.write(renderer.finish())
    return request.output


@cache
def _filters(rate: int) -> tuple[Sound, int]:
    """Return the left ear's filters `(4, taps)` at a rate, and their delay in samples for a source in front."""
    with (files("omniaudio.audio") / "hrir" / "sadie_foa_hrir.wav").open("rb") as stream, open_wave(stream) as source:
        measured_rate = source.getframerate()
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2").reshape(-1, CHANNELS) / 2**15
    resampled = soxr.resample(samples, measured_rate, rate, quality="VHQ").T
    # A filter's gain is the sum of its taps, and there are more of them at a higher rate.
    filters = np.ascontiguousarray(resampled * (measured_rate / rate), np.float32)
    return filters, int(np.argmax(np.abs(filters[W] + filters[X])))
