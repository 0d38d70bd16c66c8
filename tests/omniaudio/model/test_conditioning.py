import numpy as np
import pytest
import torch

from omniaudio.model.conditioning import resample
from support.small_model import numbers


def test_first_and_last_frame_fall_on_first_and_last_token_and_frames_are_met() -> None:
    frames = numbers("frames", (2, 9, 3))
    tokens = resample(frames, 33)  # every fourth token is a frame's
    assert tokens.shape == (2, 33, 3)
    torch.testing.assert_close(tokens[:, ::4], frames, rtol=1e-5, atol=1e-5)


def test_a_ramp_stays_a_ramp() -> None:
    ramp = torch.linspace(-1, 1, 7)[None, :, None]
    torch.testing.assert_close(resample(ramp, 50)[0, :, 0], torch.linspace(-1, 1, 50), rtol=1e-5, atol=1e-6)


def test_curvature_is_continuous_and_zero_at_the_ends() -> None:
    tokens = resample(numbers("frames", (1, 6, 1)).double(), 5001)[0, :, 0].numpy()
    curvature = np.diff(tokens.astype(np.float64), 2) * 1000**2
    smooth = np.convolve(curvature, np.ones(20) / 20, "valid")  # float32 weights leave noise
    assert abs(smooth[0]) < 0.1 * np.abs(smooth).max()
    assert abs(smooth[-1]) < 0.1 * np.abs(smooth).max()
    assert np.abs(np.diff(smooth)).max() < 0.1 * np.abs(smooth).max()


@pytest.mark.parametrize(("frames", "tokens"), [(1, 5), (5, 5), (2, 3)])
def test_short_clips(frames: int, tokens: int) -> None:
    given = numbers("frames", (1, frames, 4))
    made = resample(given, tokens)
    assert made.shape == (1, tokens, 4)
    torch.testing.assert_close(made[:, 0], given[:, 0])
    torch.testing.assert_close(made[:, -1], given[:, -1])
