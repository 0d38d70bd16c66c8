"""The spectral-directional codec: directions, level and length survive it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omniaudio.config import SpectralDirectionalConfig
from omniaudio.model.codec import SpectralDirectionalCodec
from omniaudio.model.spectral import mel_filters
from omniaudio.training.autoencoder import fit

CONFIG = SpectralDirectionalConfig(
    sample_rate=44100, mels=64, fft=512, hop=128, frames_per_latent=4, latent_dim=256, direction_bands=4,
    griffin_lim_iterations=8,
)  # fmt: skip
FRAMES = 24


def noise(seed: int, rows: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(rows, FRAMES * CONFIG.downsampling_ratio, generator=torch.Generator().manual_seed(seed))


def encoded(signal: torch.Tensor, azimuth: float, elevation: float) -> torch.Tensor:
    x, y = math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth)
    return torch.stack([signal, signal * y, signal * math.sin(elevation), signal * x], dim=1)


@pytest.fixture(scope="module")
def codec() -> SpectralDirectionalCodec:
    """Fitted to noise of many levels, so that its components carry all of a spectrum."""
    made = SpectralDirectionalCodec(CONFIG)
    levels = torch.logspace(-2, 1, 40)[:, None]
    power, _ = made.spectra(encoded(noise(0, 40) * levels, 0.0, 0.0))
    assert fit(made, power) < 1e-6
    return made


def test_every_mel_hears_something() -> None:
    assert mel_filters(44100, 2048, 192).sum(1).min() > 0.5


@settings(max_examples=20, deadline=None)
@given(st.floats(-math.pi, math.pi), st.floats(-1.5, 1.5))
def test_direction_latents_are_the_unit_vector_of_a_plane_wave(azimuth: float, elevation: float) -> None:
    made = SpectralDirectionalCodec(CONFIG)
    vectors = made.encode(encoded(noise(1), azimuth, elevation))[:, CONFIG.latent_dim :]
    wanted = [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    for axis in range(3):
        torch.testing.assert_close(
            vectors[:, axis::3], torch.full_like(vectors[:, axis::3], wanted[axis]), atol=1e-3, rtol=0
        )


def test_a_plane_wave_comes_back_from_where_it_came(codec: SpectralDirectionalCodec) -> None:
    foa = encoded(noise(2), 1.1, -0.4)
    back = codec.decode(codec.encode(foa))
    assert back.shape == foa.shape
    intensity = (back[0, 0] * back[0, [3, 1, 2]]).mean(1)
    azimuth, elevation = torch.atan2(intensity[1], intensity[0]), torch.asin(intensity[2] / intensity.norm())
    assert azimuth == pytest.approx(1.1, abs=0.02)
    assert elevation == pytest.approx(-0.4, abs=0.02)


def test_level_survives(codec: SpectralDirectionalCodec) -> None:
    foa = encoded(noise(3), 0.0, 0.0)
    back = codec.decode(codec.encode(foa))
    middle = slice(CONFIG.fft, -CONFIG.fft)
    ratio = back[0, 0, middle].square().mean() / foa[0, 0, middle].square().mean()
    assert 10 * torch.log10(ratio) == pytest.approx(0, abs=1.0)


def test_a_diffuse_field_stays_diffuse(codec: SpectralDirectionalCodec) -> None:
    w, y, z, x = noise(4, 4)
    foa = torch.stack([w, y / 3**0.5, z / 3**0.5, x / 3**0.5])[None]
    back = codec.decode(codec.encode(foa))[0]
    energy = back.square().mean(1)
    assert energy[1:] / energy[0] == pytest.approx([1 / 3] * 3, rel=0.2)
    assert ((back[0] * back[1:]).mean(1).norm() / energy[0]) < 0.1


def test_silence_stays_silent_and_loud_latents_stay_finite(codec: SpectralDirectionalCodec) -> None:
    silent = codec.decode(codec.encode(torch.zeros(1, 4, FRAMES * CONFIG.downsampling_ratio)))
    assert silent.abs().max() < 1e-3
    wild = codec.decode(50 * torch.randn(1, CONFIG.channels, FRAMES, generator=torch.Generator().manual_seed(5)))
    assert torch.isfinite(wild).all()
