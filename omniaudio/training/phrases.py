"""Joins recordings into phrases: steps into a walk, barks into barking, a motor into a continuous sound.

Phrases are composed of mel powers, where independent sounds add and from which latents are one matrix product away. A
phrase takes a millisecond, and no two are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

Rhythm = Literal["continuous", "calls", "steps"]
"""The rhythm of a kind: without a break, with pauses, or at an even pace."""

CALL_PAUSES = (0.02, 0.25)  # s
STEP_PERIODS = (0.42, 0.75)  # s between steps, one for a phrase
STEP_JITTER = 0.04  # standard deviation, as a share of the period
STEPS_MIXED = 4  # recordings that alternate in a walk
OTHER_CALL = 0.15  # probability that a call is another recording of the same kind
LEVEL_JITTER = 1.5  # dB, standard deviation between the calls of a phrase
CROSSFADE = 8  # STFT frames at the loop point of a continuous sound


@dataclass(frozen=True)
class Recording:
    """One recording at several speeds; `powers` are (mels, frames), trimmed, at equal levels."""

    kind: str
    source: str
    powers: tuple[Floats, ...]


def phrase(
    recordings: Sequence[Recording], rhythm: Rhythm, frames: int, frame_rate: float, rng: np.random.Generator
) -> Floats:
    """Return the mel power (mels, frames) of one source, composed of a random choice of `recordings` of one kind."""
    first = recordings[int(rng.integers(len(recordings)))]
    if rhythm == "steps":
        alike = [recording for recording in recordings if recording.source == first.source]
        chosen = [alike[int(i)] for i in rng.permutation(len(alike))[:STEPS_MIXED]]
        return _steps([_at_a_speed(one, rng) for one in chosen], frames, frame_rate, rng)
    power = _at_a_speed(first, rng)
    if power.shape[1] >= frames:
        skip = int(rng.integers(power.shape[1] - frames + 1))
        return np.ascontiguousarray(power[:, skip : skip + frames])
    if rhythm == "continuous":
        return _looped(power, frames, rng)
    others = [_at_a_speed(recordings[int(rng.integers(len(recordings)))], rng) for _ in range(2)]
    return _calls(power, others, frames, frame_rate, rng)


def _at_a_speed(recording: Recording, rng: np.random.Generator) -> Floats:
    """Choose a speed: the first with probability 0.3."""
    if len(recording.powers) == 1 or rng.random() < 0.3:
        return recording.powers[0]
    return recording.powers[1 + int(rng.integers(len(recording.powers) - 1))]


def _gain(rng: np.random.Generator) -> float:
    return float(10 ** (rng.normal(0, LEVEL_JITTER) / 10))


def _looped(power: Floats, frames: int, rng: np.random.Generator) -> Floats:
    """Loop with cross-fades, from a random position."""
    fade = min(CROSSFADE, power.shape[1] // 2)
    period = power.shape[1] - fade
    ramp = (np.arange(fade, dtype=np.float32) + 0.5) / max(fade, 1)
    once = power[:, :period].copy()
    once[:, :fade] = power[:, :fade] * ramp + power[:, period:] * (1 - ramp)
    start = int(rng.integers(period))
    repeated = np.tile(once, (1, -(-(start + frames) // period)))
    return np.ascontiguousarray(repeated[:, start : start + frames])


def _calls(power: Floats, others: Sequence[Floats], frames: int, frame_rate: float, rng: np.random.Generator) -> Floats:
    """Repeat one call with pauses, occasionally replaced by another; the phrase may begin within the first."""
    out = np.zeros((power.shape[0], frames), np.float32)
    at = -int(rng.integers(power.shape[1]))
    while at < frames:
        call = others[int(rng.integers(len(others)))] if others and rng.random() < OTHER_CALL else power
        _add(out, call, at, _gain(rng))
        at += call.shape[1] + max(1, int(rng.uniform(*CALL_PAUSES) * frame_rate))
    return out


def _steps(powers: Sequence[Floats], frames: int, frame_rate: float, rng: np.random.Generator) -> Floats:
    """Alternate short sounds at an even pace; sounds longer than the pace overlap."""
    out = np.zeros((powers[0].shape[0], frames), np.float32)
    period = rng.uniform(*STEP_PERIODS) * frame_rate
    at, number = -rng.uniform(0, period), 0
    while at < frames:
        _add(out, powers[number % len(powers)], int(at), _gain(rng))
        at += period * (1 + STEP_JITTER * rng.normal())
        number += 1
    return out


def _add(out: Floats, power: Floats, at: int, gain: float) -> None:
    """Add `power` to `out` from frame `at` on, which may be negative."""
    skip = max(-at, 0)
    part = power[:, skip : skip + out.shape[1] - max(at, 0)]
    if part.shape[1]:
        out[:, max(at, 0) : max(at, 0) + part.shape[1]] += gain * part
