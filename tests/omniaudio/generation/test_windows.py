"""The plan of windows, and an analytic flow that any seam would show in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniaudio.generation.windows import Window, WindowPlan, chunks, noise, plan

DRAFT = (106, 2.0 * 2048 / 44100, 2)  # 5 s in tokens of two frames, 2 video frames a second
RELEASED = (215, 8.0 * 2048 / 44100, 1)  # 10 s, 8 video frames a second


@settings(deadline=None)
@given(frames=st.integers(1, 20_000), model=st.sampled_from([DRAFT, RELEASED]))
def test_windows_cover_the_clip_and_begin_at_a_video_frame(frames: int, model: tuple[int, float, int]) -> None:
    length, video_frames_per_latent, multiple = model
    windows = plan(frames, length, video_frames_per_latent, multiple)
    assert windows.frames >= frames
    assert windows.frames <= max(length, frames + 2 * (1 / video_frames_per_latent + multiple))
    assert windows.windows[0] == Window(0, 0)
    for window in windows.windows:
        assert window.start % multiple == 0
        assert abs(window.start - window.video_frame / video_frames_per_latent) <= multiple / 2 + 1e-6


@settings(deadline=None)
@given(frames=st.integers(1, 5_000), model=st.sampled_from([DRAFT, RELEASED]))
def test_weights_are_a_partition_of_unity(frames: int, model: tuple[int, float, int]) -> None:
    windows = plan(frames, *model)
    total = np.zeros(windows.frames)
    for index, window in enumerate(windows.windows):
        weights = windows.weights(index)
        assert weights.min() >= 0
        total[window.start : window.start + windows.length] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_cost_grows_linearly() -> None:
    one_hour, two_hours = (len(plan(round(seconds * 44100 / 2048), *DRAFT).windows) for seconds in (3600, 7200))
    assert two_hours == pytest.approx(2 * one_hour, rel=0.01)


def weights(windows: WindowPlan) -> list[np.ndarray]:
    return [windows.weights(index) for index in range(len(windows.windows))]


def test_a_model_that_ignores_the_borders_is_reproduced() -> None:
    """Blending must not change what all windows agree on, whatever is computed at once."""
    windows = plan(1000, *DRAFT)
    x = np.random.default_rng(0).standard_normal((3, 8, windows.frames)).astype(np.float32)
    for at_once in (1, 4, 100):
        blended = windows.blend(lambda latents, _: np.tanh(latents), x, weights(windows), at_once)
        np.testing.assert_allclose(blended, np.tanh(x), atol=1e-6)


def test_windows_that_disagree_are_joined_without_a_step() -> None:
    windows = plan(1000, *DRAFT)
    x = np.zeros((1, 1, windows.frames), np.float32)

    def velocity(latents: np.ndarray, indexes: range) -> np.ndarray:
        return np.full_like(latents, 1) * np.array([index % 2 for index in indexes], np.float32)[:, None, None]

    blended = windows.blend(velocity, x, weights(windows), 3)[0, 0]
    assert blended.min() == 0
    assert blended.max() == 1
    assert np.abs(np.diff(blended)).max() < np.pi / 2 / windows.fade * 1.01  # the raised cosine's steepest point


def test_noise_does_not_depend_on_the_length_and_differs_between_takes() -> None:
    short, long = noise(7, 0, 64, 100), noise(7, 0, 64, 5000)
    np.testing.assert_array_equal(short, long[:, :100])
    assert abs(np.corrcoef(noise(7, 1, 64, 100).ravel(), short.ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(noise(8, 0, 64, 100).ravel(), short.ravel())[0, 1]) < 0.05
    assert long.mean() == pytest.approx(0, abs=0.01)
    assert long.std() == pytest.approx(1, abs=0.01)


def test_chunks_cover_and_overlap() -> None:
    assert list(chunks(50, 100, 16)) == [(0, 50)]
    ranges = list(chunks(1000, 100, 16))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 1000
    for (_, end), (begin, _) in pairwise(ranges):
        assert end - begin == 16


@pytest.mark.parametrize("wrong", [(0, *DRAFT), (100, 105, 0.09, 2), (100, 8, 0.09, 2)])
def test_impossible_plans_are_refused(wrong: tuple[int, int, float, int]) -> None:
    with pytest.raises(ValueError, match="latent frames"):
        plan(*wrong)
