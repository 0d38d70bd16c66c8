"""The draft model's autoencoder: the sound's spectrum and, beside it, where each band of it comes from.

Magnitude losses do not see the sign between ambisonic channels, so a small learned autoencoder loses the direction.
Here it is a latent of its own: W is coded as principal components of its log-mel spectrogram, and X, Y, Z as one
direction vector a band, d = Σ Re(W*·V) / Σ |W|², which is exactly the unit vector for one plane wave and shorter the
more diffuse the field is. This is directional audio coding (Pulkki 2007) with a latent for the downmix. Rotating the
sound field rotates the direction latents and leaves the others alone.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omniaudio.config import SpectralDirectionalConfig
from omniaudio.model.fourier import ShortTimeFourier

POWER_FLOOR = 1e-8  # of full scale: −80 dB
MEL_CEILING = 20_000.0  # Hz
TIME_BORROW, BAND_BORROW = 0.02, 0.01  # what silence takes of its neighbours' direction
INVERSION_UPDATES = 12  # non-negative least squares from mel power to power
SIGN_RUN = 12  # bins that share a sign in the diffuse part: neighbours of unlike sign would cancel in the window
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


class SpectralDirectionalCodec(nn.Module):
    """FOA (batch, 4, samples) ↔ latents (batch, latent_dim + 3·direction_bands, samples / 2048).

    The first `latent_dim` channels are W, the others the directions as (band, xyz). Samples must be a multiple of
    `downsampling_ratio`. The components are fitted by `fit`, not trained by gradient.
    """

    mean: Tensor
    components: Tensor
    scale: Tensor
    filters: Tensor
    spread_filters: Tensor
    mel_bands: Tensor
    bin_bands: Tensor
    first_phases: Tensor
    sounding: Tensor
    signs: Tensor

    def __init__(self, config: SpectralDirectionalConfig) -> None:
        super().__init__()
        self.config = config
        self.downsampling_ratio = config.hop * config.frames_per_latent
        self.fourier = ShortTimeFourier(config.fft)
        width = config.mels * config.frames_per_latent
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("components", torch.zeros(config.latent_dim, width))  # orthonormal rows
        self.register_buffer("scale", torch.ones(config.latent_dim))  # latent = (component · centred) / scale
        with torch.device("cpu"):  # constants, real also where the weights are still to come (device meta)
            self._build_constants()

    def _build_constants(self) -> None:
        def constant(name: str, value: Tensor) -> None:
            self.register_buffer(name, value, persistent=False)

        filters = mel_filters(self.config.sample_rate, self.config.fft, self.config.mels)
        mel_bands = self._mel_bands()
        bin_bands = mel_bands.T @ (filters + 1e-9)
        generator = torch.Generator().manual_seed(0)
        constant("filters", filters)  # (mels, bins)
        constant("spread_filters", filters / filters.square().sum(1, keepdim=True))
        constant("mel_bands", mel_bands)
        constant("bin_bands", bin_bands / bin_bands.sum(0))  # (bands, bins), columns add up to 1
        constant("first_phases", torch.rand(self.fourier.bins, generator=generator) * 2 * math.pi)
        constant("sounding", (torch.arange(self.fourier.bins) > 0).float())  # no DC
        runs = torch.randint(0, 2, (3, self.fourier.bins // SIGN_RUN + 1), generator=generator) * 2.0 - 1.0
        constant("signs", runs.repeat_interleave(SIGN_RUN, dim=1)[:, : self.fourier.bins])

    def _mel_bands(self) -> Tensor:
        """(mels, bands): which mels a direction band holds, an equal number each, a little shared with neighbours."""
        bands = torch.arange(self.config.mels) * self.config.direction_bands // self.config.mels
        matrix = F.one_hot(bands, self.config.direction_bands).float()
        return matrix * (1 - BAND_BORROW) + BAND_BORROW / self.config.direction_bands

    # --- analysis ----------------------------------------------------------------------------------------------------

    def spectra(self, foa: Tensor) -> tuple[Tensor, Tensor]:
        """FOA → mel power of W (batch, mels, frames) and intensity Re(W*·V) by band (batch, xyz, bands, frames)."""
        batch = foa.shape[0]
        real, imaginary = self.fourier(foa.flatten(0, 1))
        real, imaginary = real.unflatten(0, (batch, 4)), imaginary.unflatten(0, (batch, 4))
        power = real[:, 0].square() + imaginary[:, 0].square()
        # AmbiX order is W, Y, Z, X; the direction is wanted as x, y, z
        cross = torch.stack([real[:, 0] * real[:, c] + imaginary[:, 0] * imaginary[:, c] for c in (3, 1, 2)], dim=1)
        intensity = cross @ self.filters.T @ self.mel_bands
        return (power @ self.filters.T).transpose(-1, -2), intensity.transpose(-1, -2)

    def latents(self, power: Tensor, intensity: Tensor) -> Tensor:
        """What `spectra` gives → latents. Training mixes sources in these domains, where independent sounds add."""
        sound = (self.folded_log(power) - self.mean) @ self.components.T / self.scale
        return torch.cat([sound.transpose(1, 2), self._directions(power, intensity)], dim=1)

    def folded_log(self, power: Tensor) -> Tensor:
        """(batch, mels, frames) → natural log, (batch, latents, frames_per_latent · mels)."""
        log = torch.log(power + POWER_FLOOR).transpose(1, 2)
        folded: Tensor = log.unflatten(1, (-1, self.config.frames_per_latent)).flatten(2)
        return folded

    def _directions(self, power: Tensor, intensity: Tensor) -> Tensor:
        def gather(x: Tensor) -> Tensor:  # (…, frames) → (…, latents)
            return self._borrow(x.unflatten(-1, (-1, self.config.frames_per_latent)).sum(-1))

        banded = (power.transpose(-1, -2) @ self.mel_bands).transpose(-1, -2)
        vectors = gather(intensity) / (gather(banded)[:, None] + POWER_FLOOR)
        length = vectors.square().sum(1, keepdim=True).sqrt()
        vectors = vectors / length.clamp(min=1.0)
        return vectors.transpose(1, 2).flatten(1, 2)  # (batch, bands · xyz, latents)

    @staticmethod
    def _borrow(x: Tensor) -> Tensor:
        """Each frame takes a little of its neighbours, so that a pause keeps the direction of what sounded."""
        shape = x.shape
        flat = x.flatten(0, -2)[:, None]
        before, after = F.pad(flat, (1, 0))[..., :-1], F.pad(flat, (0, 1))[..., 1:]
        return (flat + TIME_BORROW * (before + after)).reshape(shape)

    def encode(self, foa: Tensor) -> Tensor:
        return self.latents(*self.spectra(foa))

    # --- synthesis ---------------------------------------------------------------------------------------------------

    def decode(self, latents: Tensor) -> Tensor:
        """Latents → FOA (batch, 4, samples)."""
        sound, directions = latents[:, : self.config.latent_dim], latents[:, self.config.latent_dim :]
        magnitude = self._magnitude(sound)
        real, imaginary = self._phases(magnitude)
        return self._spatialise(real, imaginary, directions)

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

    def _spatialise(self, real: Tensor, imaginary: Tensor, directions: Tensor) -> Tensor:
        """W's spectrum (batch, frames, bins) → FOA: a direct part d·W, and a diffuse part that fills up the energy of
        X, Y and Z together to W's. The diffuse part is a quarter turn off, so it adds nothing to the intensity; its
        sign by bin and axis keeps the axes apart."""
        frames = real.shape[1]
        vectors = directions.unflatten(1, (self.config.direction_bands, 3))
        length = vectors.square().sum(2, keepdim=True).sqrt()
        vectors = vectors / length.clamp(min=1.0)
        spread = ((1 - vectors.square().sum(2, keepdim=True)).clamp(min=0) / 3).sqrt()
        parameters = torch.cat([vectors, spread], dim=2).flatten(1, 2)  # (batch, bands · (x, y, z, spread), latents)
        parameters = F.interpolate(parameters, size=frames, mode="linear").unflatten(1, (-1, 4))
        by_bin = parameters.permute(2, 0, 3, 1) @ self.bin_bands  # (4, batch, frames, bins)
        spectra = [(real, imaginary)]
        for axis in (1, 2, 0):  # AmbiX order: Y, Z, X
            direct, diffuse = by_bin[axis], by_bin[3] * self.signs[axis]
            spectra.append((real * direct - imaginary * diffuse, imaginary * direct + real * diffuse))
        stacked_real = torch.stack([part[0] for part in spectra], dim=1).flatten(0, 1)
        stacked_imaginary = torch.stack([part[1] for part in spectra], dim=1).flatten(0, 1)
        foa: Tensor = self.fourier.inverse(stacked_real, stacked_imaginary).unflatten(0, (-1, 4))
        return foa
