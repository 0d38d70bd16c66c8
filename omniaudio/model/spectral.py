"""A single-channel codec: principal components of the log-mel spectrogram, inverted by Griffin-Lim from noise."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omniaudio.config import SpectralConfig
from omniaudio.model.fourier import ShortTimeFourier

POWER_FLOOR = 1e-8  # of full scale: −80 dB
MEL_CEILING = 20_000.0  # Hz
INVERSION_UPDATES = 12  # non-negative least squares from mel power to power
MOMENTUM = 0.99  # fast Griffin-Lim (Perraudin, Balazs & Søndergaard 2013)

# White noise of unit variance as the product of two sequences whose lengths coincide only after 25 minutes.
NOISE_PERIOD, SIGN_PERIOD = 8191, 8192  # samples
NOISES = 8  # independent noises that a decoded clip mixes
# Principal components smooth the fluctuating magnitudes of noise. The fluctuation is restored where the spectrum is
# flat; a tone keeps its steady magnitude.
ROUGHNESS = 0.5  # exponent of the noise's magnitude where the spectrum is flat
APART = 4.0  # dB that neighbouring mels or frames lie apart where half of it is left
STEADY_FRAMES, NEIGHBOURS, SMOOTHED = 9, 13, 5  # frames and mels over which that is measured


def mel_filters(rate: float, size: int, mels: int) -> Tensor:
    """(mels, size / 2 + 1) triangles, equally spaced on the mel scale 2595·log10(1 + f/700) up to 20 kHz. The lowest
    are widened to two bins, since a triangle narrower than a bin could miss all bins."""
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
    coverage: Tensor
    sounding: Tensor
    noise: Tensor
    signs_of_noise: Tensor
    choice: Tensor
    choice_offset: Tensor

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.config = config
        self.downsampling_ratio = config.hop * config.frames_per_latent
        self.fourier = ShortTimeFourier(config.fft)
        width = config.mels * config.frames_per_latent
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("components", torch.zeros(config.latent_dim, width))  # orthonormal rows
        self.register_buffer("scale", torch.ones(config.latent_dim))  # latent = (component · centred) / scale
        with torch.device("cpu"):  # constants, allocated even if the model is built on the meta device
            self._build_constants(torch.Generator().manual_seed(0))

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def _build_constants(self, generator: torch.Generator) -> None:
        filters = mel_filters(self.config.sample_rate, self.config.fft, self.config.mels)
        self._constant("filters", filters)  # (mels, bins)
        self._constant("spread_filters", filters / filters.square().sum(1, keepdim=True))
        self._constant("coverage", filters.sum(0).clamp(min=1e-6))  # (bins,)
        self._constant("sounding", (torch.arange(self.fourier.bins) > 0).float())  # no DC
        own = torch.Generator().manual_seed(NOISES)
        self._constant("noise", torch.randn(NOISE_PERIOD, generator=own))
        self._constant("signs_of_noise", torch.randint(0, 2, (NOISES, SIGN_PERIOD), generator=own) * 2.0 - 1.0)
        self._constant("choice", torch.randn(self.config.latent_dim, NOISES, generator=own))
        self._constant("choice_offset", torch.randn(NOISES, generator=own))

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
        (channel,) = sound.unbind(1)
        return self.sound_latents(self.mel_spectrogram(channel))

    # --- synthesis ---------------------------------------------------------------------------------------------------

    def decode(self, latents: Tensor) -> Tensor:
        """Latents → (batch, 1, samples)."""
        mel = self.mel_power(latents)
        real, imaginary = self.fourier(self._noise(latents, mel.shape[1] * self.config.hop))
        level = torch.sqrt(real.square() + imaginary.square() + 1e-16)
        # The mean of |real, imaginary|: a Hann window's gains for a sine and for noise differ by √(6 / size).
        rough = (level / math.sqrt(6 / self.config.fft)).pow(ROUGHNESS * self._flatness(mel))
        magnitude = self._magnitude(mel) * rough
        return self.fourier.inverse(
            *self._griffin_lim(magnitude, magnitude * real / level, magnitude * imaginary / level)
        )[:, None]

    def mel_power(self, sound: Tensor) -> Tensor:
        """W latents (batch, latent_dim, latents) → mel power (batch, frames, mels)."""
        log = (sound.transpose(1, 2) * self.scale) @ self.components + self.mean
        log = log.unflatten(2, (self.config.frames_per_latent, self.config.mels)).flatten(1, 2)
        return (torch.exp(log.clamp(max=5.0)) - POWER_FLOOR).clamp(min=0)

    def _magnitude(self, mel: Tensor) -> Tensor:
        """Multiplicative updates of non-negative least squares (Lee & Seung 2001) from mel power (batch, frames, mels)
        to the magnitude of every bin, (batch, frames, bins)."""
        power = mel @ self.spread_filters
        wanted = mel @ self.filters
        for _ in range(INVERSION_UPDATES):
            power = power * wanted / (power @ self.filters.T @ self.filters + 1e-12)
        magnitude: Tensor = power.sqrt() * self.sounding
        return magnitude

    def _noise(self, latents: Tensor, samples: int) -> Tensor:
        """White noise (batch, samples), of another mixture for other latents: two stems, or two windows of one, do not
        share theirs. The mixture changes smoothly with the latents, so all back-ends agree on it."""
        mixture = (latents[:, :, 0] - latents[:, :, -1]) @ self.choice + self.choice_offset
        mixture = mixture / torch.sqrt(mixture.square().sum(1, keepdim=True) + 1e-12)
        at = torch.arange(samples, device=latents.device)
        signed = torch.index_select(mixture @ self.signs_of_noise, 1, at % SIGN_PERIOD)
        return signed * torch.index_select(self.noise, 0, at % NOISE_PERIOD)

    def _flatness(self, mel: Tensor) -> Tensor:
        """Mel power (batch, frames, mels) → (batch, frames, bins): 1 where the spectrum is flat and steady, as noise
        is, 0 where single mels stand out for a while, as tones do, or all of them for a moment, as knocks do."""
        level = 10 * torch.log10(mel + POWER_FLOOR)
        steady = _smooth(level, STEADY_FRAMES, 1)
        tones = _smooth((steady - _smooth(steady, 1, NEIGHBOURS)).abs(), 1, SMOOTHED)
        broad = _smooth(level, 1, NEIGHBOURS)
        knocks = _smooth((broad - _smooth(broad, STEADY_FRAMES, 1)).abs(), SMOOTHED, 1)
        flat: Tensor = (torch.sigmoid(APART - tones) * torch.sigmoid(APART - knocks)) @ self.filters / self.coverage
        return flat

    def _griffin_lim(self, magnitude: Tensor, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """Fast Griffin-Lim for the given magnitude."""
        last_real, last_imaginary = real, imaginary
        for _ in range(self.config.griffin_lim_iterations):
            next_real, next_imaginary = self.fourier(self.fourier.inverse(real, imaginary))
            ahead_real = next_real + MOMENTUM * (next_real - last_real)
            ahead_imaginary = next_imaginary + MOMENTUM * (next_imaginary - last_imaginary)
            last_real, last_imaginary = next_real, next_imaginary
            length = torch.sqrt(ahead_real.square() + ahead_imaginary.square() + 1e-16)
            real, imaginary = magnitude * ahead_real / length, magnitude * ahead_imaginary / length
        return real, imaginary


def _smooth(values: Tensor, frames: int, mels: int) -> Tensor:
    """The mean over a neighbourhood of odd size of (batch, frames, mels); at the ends over what there is."""
    padding = (frames // 2, mels // 2)
    return F.avg_pool2d(values[:, None], (frames, mels), 1, padding, count_include_pad=False)[:, 0]
