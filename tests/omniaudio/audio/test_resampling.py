"""Resampling a stream, against resampling the whole at once."""

from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from omniaudio.audio.resampling import resample

RATE = 44100


def blocks(sound: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for begin in range(0, sound.shape[1], size):
        yield sound[:, begin : begin + size]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("rate", [44100, 48000, 96000, 22050])
def test_resampling_a_stream_is_resampling_the_whole(rate: int) -> None:
    sound = noise(4, RATE * 2 + 4000)
    streamed = np.concatenate(list(resample(blocks(sound, 7001), RATE, rate, 2 * rate)), axis=1)
    whole = sound if rate == RATE else soxr.resample(sound.T, RATE, rate, quality="VHQ").T
    assert streamed.shape == (4, 2 * rate)
    np.testing.assert_array_equal(streamed, whole[:, : 2 * rate])


def test_too_short_a_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        list(resample(blocks(noise(4, 100), 50), RATE, RATE, 101))
