"""The mono codec: noise stays noise, tones stay steady, and no two stems share their noise."""

import math

import pytest
import torch
from torch import Tensor

from omniaudio.config import SpectralConfig
from omniaudio.model.spectral import SpectralCodec
from omniaudio.training.autoencoder import fit

RATE = 44_100
SAMPLES = 2048 * 40


@pytest.fixture(scope="module")
def codec() -> SpectralCodec:
    """Fitted to noises and tones alike."""
    config = SpectralConfig(
        sample_rate=RATE, mels=64, fft=2048, hop=512, frames_per_latent=4, latent_dim=48, griffin_lim_iterations=5
    )
    codec = SpectralCodec(config)
    sounds = torch.cat([torch.stack([noise(seed), tone(200.0 * 1.2**seed)]) for seed in range(12)])
    fit(codec, codec.mel_spectrogram(sounds))
    return codec


def noise(seed: int) -> Tensor:
    return 0.1 * torch.randn(SAMPLES, generator=torch.Generator().manual_seed(seed))


def tone(hertz: float) -> Tensor:
    time = torch.arange(SAMPLES) / RATE
    return 0.1 * torch.stack([torch.sin(2 * math.pi * hertz * order * time) / order for order in (1, 2, 3)]).sum(0)


def through(codec: SpectralCodec, sound: Tensor) -> Tensor:
    with torch.no_grad():
        return codec.decode(codec.encode(sound[None, None]))[0, 0]


def likeness(first: Tensor, second: Tensor) -> float:
    """Correlation, -1 to 1."""
    return float((first @ second) / (first.norm() * second.norm()))


def test_noise_comes_back_as_noise_of_its_level(codec: SpectralCodec) -> None:
    sound = through(codec, noise(100))[4096:-4096]
    assert float(sound.std()) == pytest.approx(0.1, rel=0.15)
    # Steady phases would repeat with the hop, and hum.
    assert all(abs(likeness(sound[:-lag], sound[lag:])) < 0.12 for lag in (256, 512, 1024, 2048, 8191, 8192))
    blocks = sound[: len(sound) // 441 * 441].reshape(-1, 441).square().mean(1)
    fluctuation = float(blocks.std() / blocks.mean())  # of white noise: sqrt(2 / 441) = 0.067
    assert 0.05 < fluctuation < 0.2


def test_a_tone_stays_steady(codec: SpectralCodec) -> None:
    sound = through(codec, tone(523.0))[8192:-8192]
    levels = sound[: len(sound) // 2205 * 2205].reshape(-1, 2205).square().mean(1).sqrt()
    assert float(20 * torch.log10(levels.max() / levels.min())) < 6.0


def test_two_stems_do_not_share_their_noise(codec: SpectralCodec) -> None:
    first, second = through(codec, noise(100)), through(codec, noise(101))
    assert abs(likeness(first, second)) < 0.6
    torch.testing.assert_close(through(codec, noise(100)), first)


def test_nearly_the_same_latents_give_nearly_the_same_sound(codec: SpectralCodec) -> None:
    latents = codec.encode(noise(100)[None, None])
    with torch.no_grad():
        first, second = codec.decode(latents), codec.decode(latents * (1 + 1e-6))
    assert float((first - second).norm() / first.norm()) < 1e-2


def test_the_noise_is_white_and_of_unit_power(codec: SpectralCodec) -> None:
    latents = torch.randn(4, 48, 40)
    made = codec._noise(latents, SAMPLES)
    assert made.shape == (4, SAMPLES)
    torch.testing.assert_close(made.square().mean(1), torch.ones(4), atol=0.05, rtol=0)
    assert all(abs(likeness(made[0, :-lag], made[0, lag:])) < 0.03 for lag in (1, 2, 8191, 8192, 2 * 8191))
