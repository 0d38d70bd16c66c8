"""The Fourier transform by matrix products, against torch's."""

import pytest
import torch

from omniaudio.model.fourier import ShortTimeFourier


@pytest.mark.parametrize("size", [256, 2048])
def test_equals_the_library_transform(size: int) -> None:
    fourier = ShortTimeFourier(size)
    signal = torch.randn(2, 20 * fourier.hop, generator=torch.Generator().manual_seed(0))
    real, imaginary = fourier(signal)

    edge = (size - fourier.hop) // 2
    window = torch.hann_window(size)
    padded = torch.nn.functional.pad(signal, (edge, edge))
    wanted = torch.stft(padded, size, fourier.hop, window=window, center=False, return_complex=True).transpose(1, 2)
    wanted = wanted * 2 / window.sum()
    assert real.shape == (2, 20, size // 2 + 1)
    torch.testing.assert_close(real, wanted.real, atol=1e-6, rtol=0)
    torch.testing.assert_close(imaginary, wanted.imag, atol=1e-6, rtol=0)


def test_inverse_gives_the_signal_back() -> None:
    fourier = ShortTimeFourier(2048)
    signal = torch.randn(3, 30 * fourier.hop, generator=torch.Generator().manual_seed(1))
    back = fourier.inverse(*fourier(signal))
    assert back.shape == signal.shape
    torch.testing.assert_close(back[:, 2048:-2048], signal[:, 2048:-2048], atol=1e-5, rtol=0)


def test_a_full_scale_sine_has_magnitude_one() -> None:
    fourier = ShortTimeFourier(1024)
    time = torch.arange(16 * fourier.hop) / 1024
    real, imaginary = fourier(torch.sin(2 * torch.pi * 100 * time)[None])
    assert torch.hypot(real, imaginary)[0, 8, 100] == pytest.approx(1, abs=1e-4)
