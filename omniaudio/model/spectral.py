"""A codec of one channel: its log-mel spectrogram as principal components, and back by Griffin-Lim."""

import math

import torch
from torch import Tensor, nn

from omniaudio.config import SpectralConfig
from omniaudio.model.fourier import ShortTimeFourier

POWER_FLOOR = 1e-8  # of full scale: −80 dB
MEL_CEILING = 20_000.0  # Hz
INVERSION_UPDATES = 12  # non-negative least squares from mel power to power
MOMENTUM = 0.99  # fast Griffin-Lim (Perraudin, Balazs & Søndergaard 2013)


def mel_filters(rate: float, size: int, mels: int) -> Tensor:
    """(mels, size / 2 + 1) triangles, equally spaced on the mel scale 2595·log10(1 + f/700) up to 20 kHz. The lowest
    are widened to two bins, since a triangle narrower than a bin would hear nothing."""
    ceiling = min(MEL_CEILING, rate / 2)
    edges = torch.linspace(0, 2595 * math.log10(1 + ceiling / 700), mels + 2, dtype=torch.float64)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = torch.arange(size // 2 + 1, dtype=torch.float64) * rate / size
    low, centre, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    width = rate / size
    rising = (bins - centre) / torch.clamp(centre - low, min=width) + 1
    falling = 1 - (bins - centre) / torch.clamp(high - centre, min=width)
    return torch.clamp(torch.minimum(rising, falling), min=0).float()


class SpectralCodec(nn.Module):
    """One channel (batch, 1, samples) ↔ latents (batch, latent_dim, samples / downsampling_ratio).

    Samples must be a multiple of `downsampling_ratio`. The components are fitted by
    `omniaudio.training.autoencoder.fit`, not trained by gradient.
    """

    mean: Tensor
    components: Tensor
    scale: Tensor
    filters: Tensor
    spread_filters: Tensor
    first_phases: Tensor
    sounding: Tensor

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.config = config
        self.downsampling_ratio = config.hop * config.frames_per_latent
        self.fourier = ShortTimeFourier(config.fft)
        width = config.mels * config.frames_per_latent
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("components", torch.zeros(config.latent_dim, width))  # orthonormal rows
        self.register_buffer("scale", torch.ones(config.latent_dim))  # latent = (component · centred) / scale
        with torch.device("cpu"):  # constants, real also where the weights are still to come (device meta)
            self._build_constants(torch.Generator().manual_seed(0))

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def _build_constants(self, generator: torch.Generator) -> None:
        filters = mel_filters(self.config.sample_rate, self.config.fft, self.config.mels)
        self._constant("filters", filters)  # (mels, bins)
        self._constant("spread_filters", filters / filters.square().sum(1, keepdim=True))
        self._constant("first_phases", torch.rand(self.fourier.bins, generator=generator) * 2 * math.pi)
        self._constant("sounding", (torch.arange(self.fourier.bins) > 0).float())  # no DC

    # --- analysis ----------------------------------------------------------------------------------------------------

    def mel_spectrogram(self, sound: Tensor) -> Tensor:
        """Sound (batch, samples) → mel power (batch, mels, frames)."""
        real, imaginary = self.fourier(sound)
        power: Tensor = (real.square() + imaginary.square()) @ self.filters.T
        return power.transpose(-1, -2)

    def sound_latents(self, power: Tensor) -> Tensor:
        """Mel power (batch, mels, frames) → latents (batch, latent_dim, latents)."""
        latents: Tensor = (self.folded_log(power) - self.mean) @ self.components.T / self.scale
        return latents.transpose(1, 2)

    def folded_log(self, power: Tensor) -> Tensor:
        """(batch, mels, frames) → natural log, (batch, latents, frames_per_latent · mels)."""
        log = torch.log(power + POWER_FLOOR).transpose(1, 2)
        folded: Tensor = log.unflatten(1, (-1, self.config.frames_per_latent)).flatten(2)
        return folded

    def encode(self, sound: Tensor) -> Tensor:
        """(batch, 1, samples) → latents."""
        return self.sound_latents(self.mel_spectrogram(sound[:, 0]))

    # --- synthesis ---------------------------------------------------------------------------------------------------

    def decode(self, latents: Tensor) -> Tensor:
        """Latents → (batch, 1, samples)."""
        return self.fourier.inverse(*self._phases(self._magnitude(latents)))[:, None]

    def mel_power(self, sound: Tensor) -> Tensor:
        """W latents (batch, latent_dim, latents) → mel power (batch, frames, mels)."""
        log = (sound.transpose(1, 2) * self.scale) @ self.components + self.mean
        log = log.unflatten(2, (self.config.frames_per_latent, self.config.mels)).flatten(1, 2)
        return (torch.exp(log.clamp(max=5.0)) - POWER_FLOOR).clamp(min=0)

    def _magnitude(self, sound: Tensor) -> Tensor:
        """Multiplicative updates of non-negative least squares (Lee & Seung 2001) from mel power to the power of every
        bin, (batch, frames, bins)."""
        mel = self.mel_power(sound)
        power = mel @ self.spread_filters
        wanted = mel @ self.filters
        for _ in range(INVERSION_UPDATES):
            power = power * wanted / (power @ self.filters.T @ self.filters + 1e-12)
        magnitude: Tensor = power.sqrt() * self.sounding
        return magnitude

    def _phases(self, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """Fast Griffin-Lim from phases that advance as steady tones at the bins' own frequencies."""
        frames = torch.arange(magnitude.shape[1], device=magnitude.device)[:, None]
        bins = torch.arange(self.fourier.bins, device=magnitude.device)
        quarter_turns = (frames * bins) % 4  # hop = size / 4: a bin advances by whole quarter turns
        phase = quarter_turns * (math.pi / 2) + self.first_phases
        real, imaginary = magnitude * phase.cos(), magnitude * phase.sin()
        last_real, last_imaginary = real, imaginary
        for _ in range(self.config.griffin_lim_iterations):
            next_real, next_imaginary = self.fourier(self.fourier.inverse(real, imaginary))
            ahead_real = next_real + MOMENTUM * (next_real - last_real)
            ahead_imaginary = next_imaginary + MOMENTUM * (next_imaginary - last_imaginary)
            last_real, last_imaginary = next_real, next_imaginary
            length = torch.sqrt(ahead_real.square() + ahead_imaginary.square() + 1e-16)
            real, imaginary = magnitude * ahead_real / length, magnitude * ahead_imaginary / length
        return real, imaginary
