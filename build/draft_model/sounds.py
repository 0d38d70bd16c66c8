"""Brings recordings to one form: 44.1 kHz, no offset, one level, no silence at the ends."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from omniaudio.evaluation.yamnet import Yamnet

SAMPLE_RATE = 44_100
ACTIVE_LEVEL = 10 ** (-20 / 20)  # RMS of the frames that sound
FRAME = 882  # 20 ms
FLOOR = 10 ** (-40 / 20)  # below the loudest frame: silence
SILENT = 1e-4  # RMS of the loudest frame, of full scale
SHORTEST, LONGEST = 0.12, 12.0  # seconds of a sound
LONGEST_BED = 120.0
FADE = 220  # samples, 5 ms

Sound = NDArray[np.float32]


def mono(path: Path) -> Sound | None:
    """A sound as (samples,) with an active RMS of -20 dBFS and silence cut from its ends.

    None when it is silent or shorter than 0.12 s. Peaks may pass full scale: the form is float.
    """
    sound = _read(path).mean(axis=1)
    sound = sound - sound.mean()
    levels = _levels(sound)
    if not len(levels) or levels.max() < SILENT:
        return None
    active = levels > levels.max() * FLOOR
    first, last = active.argmax(), len(active) - active[::-1].argmax()
    sound = sound[first * FRAME : last * FRAME][: int(LONGEST * SAMPLE_RATE)]
    if len(sound) < SHORTEST * SAMPLE_RATE:
        return None
    active_rms = np.sqrt((levels[active] ** 2).mean())
    return np.asarray(_faded(sound) * (ACTIVE_LEVEL / active_rms), np.float32)


def is_found(judge: Yamnet, sound: Sound, labels: list[str]) -> bool:
    """Whether the judge has one of `labels` among its ten likeliest classes; a short sound is repeated for 2 s."""
    repeats = -(-2 * SAMPLE_RATE // len(sound))
    return judge.finds(judge.scores(np.tile(sound, repeats), SAMPLE_RATE), labels)


def bed(path: Path) -> Sound | None:
    """An ambience as (samples, 1 or 2) at -26 dBFS RMS, peaks held within full scale; None when it is silent."""
    sound = _read(path)[: int(LONGEST_BED * SAMPLE_RATE), :2]
    sound = sound - sound.mean(axis=0)
    rms = float(np.sqrt((sound**2).mean()))
    if rms < SILENT:
        return None
    return np.asarray(sound * min(ACTIVE_LEVEL / 2 / rms, 0.98 / np.abs(sound).max()), np.float32)


def _read(path: Path) -> NDArray[np.float64]:
    sound, rate = soundfile.read(path, always_2d=True)
    if rate != SAMPLE_RATE:
        ratio = Fraction(SAMPLE_RATE, rate)
        sound = signal.resample_poly(sound, ratio.numerator, ratio.denominator, axis=0)
    return np.asarray(sound, np.float64)


def _levels(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """RMS of each 20 ms."""
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)))


def _faded(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    ramp = np.linspace(0, 1, FADE)
    sound = sound.copy()
    sound[:FADE] *= ramp
    sound[-FADE:] *= ramp[::-1]
    return sound
