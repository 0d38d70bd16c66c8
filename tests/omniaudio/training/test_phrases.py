"""Phrases: as long as asked, of one kind, at the recordings' level, and the same for the same seed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniaudio.training.phrases import CROSSFADE, Recording, Rhythm, phrase

RATE = 86.1
MELS = 5


def recording(frames: int, value: float = 1.0, source: str = "a") -> Recording:
    return Recording("dog", source, (np.full((MELS, frames), value, np.float32),))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=4),
    st.sampled_from(["continuous", "calls", "steps"]),
    st.integers(20, 240),
    st.integers(0, 99),
)
def test_a_phrase_is_as_long_as_asked_and_never_negative(
    lengths: list[int], rhythm: Rhythm, frames: int, seed: int
) -> None:
    recordings = [recording(length) for length in lengths]
    made = phrase(recordings, rhythm, frames, RATE, np.random.default_rng(seed))
    assert made.shape == (MELS, frames)
    assert made.dtype == np.float32
    assert made.min() >= 0


@pytest.mark.parametrize("rhythm", ["continuous", "calls", "steps"])
def test_a_phrase_is_the_same_for_the_same_seed_and_leaves_the_recordings_alone(rhythm: Rhythm) -> None:
    recordings = [recording(30), recording(50, 2.0)]
    first, second = (phrase(recordings, rhythm, 200, RATE, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert recordings[0].powers[0].max() == recordings[0].powers[0].min() == 1.0


def test_a_continuous_sound_has_no_break_and_one_level() -> None:
    made = phrase([recording(4 * CROSSFADE)], "continuous", 300, RATE, np.random.default_rng(0))
    np.testing.assert_allclose(made, 1.0, rtol=1e-5)


def test_calls_are_parted_by_pauses_of_at_most_a_quarter_of_a_second() -> None:
    made = phrase([recording(20)], "calls", 2000, RATE, np.random.default_rng(0))
    silent = made[0] == 0
    edges = np.flatnonzero(np.diff(silent.astype(int)))
    pauses = [end - start for start, end in itertools.pairwise(edges) if silent[start + 1]]
    assert len(pauses) > 20
    assert max(pauses) <= 0.25 * RATE


def test_steps_keep_one_pace_and_come_from_one_source() -> None:
    recordings = [recording(3, 1.0, "leather"), recording(3, 1.0, "leather"), recording(3, 1000.0, "wood")]
    made = phrase(recordings, "steps", 4000, RATE, np.random.default_rng(1))
    starts = np.flatnonzero(np.diff((made[0] > 0).astype(int)) == 1)
    periods = np.diff(starts) / RATE
    assert 0.42 * 0.9 <= periods.mean() <= 0.75 * 1.1
    assert periods.std() < 0.1 * periods.mean() + 1 / RATE
    loud = made[0][made[0] > 0] > 100
    assert loud.all() or not loud.any()
