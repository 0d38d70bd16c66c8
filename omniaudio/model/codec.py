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
from torch import Tensor

from omniaudio.config import SpectralDirectionalConfig
from omniaudio.model.spectral import POWER_FLOOR, SpectralCodec

TIME_BORROW, BAND_BORROW = 0.02, 0.01  # what silence takes of its neighbours' direction
SIGN_RUN = 12  # bins that share a sign in the diffuse part: neighbours of unlike sign would cancel in the window


class SpectralDirectionalCodec(SpectralCodec):
    """FOA (batch, 4, samples) ↔ latents (batch, latent_dim + 3·direction_bands, samples / 2048).

    The first `latent_dim` channels are W, the others the directions as (band, xyz). Samples must be a multiple of
    `downsampling_ratio`. The components are fitted by `fit`, not trained by gradient.
    """

    config: SpectralDirectionalConfig
    mel_bands: Tensor
    bin_bands: Tensor
    signs: Tensor
    first_phases: Tensor

    def __init__(self, config: SpectralDirectionalConfig) -> None:
        super().__init__(config)

    def _build_constants(self, generator: torch.Generator) -> None:
        super()._build_constants(generator)
        self._constant("first_phases", torch.rand(self.fourier.bins, generator=generator) * 2 * math.pi)
        mel_bands = self._mel_bands()
        bin_bands = mel_bands.T @ (self.filters + 1e-9)
        self._constant("mel_bands", mel_bands)
        self._constant("bin_bands", bin_bands / bin_bands.sum(0))  # (bands, bins), columns add up to 1
        runs = torch.randint(0, 2, (3, self.fourier.bins // SIGN_RUN + 1), generator=generator) * 2.0 - 1.0
        self._constant("signs", runs.repeat_interleave(SIGN_RUN, dim=1)[:, : self.fourier.bins])

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
        return torch.cat([self.sound_latents(power), self._directions(power, intensity)], dim=1)

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
        magnitude = self._magnitude(self.mel_power(sound))
        phase = self._steady_phases(magnitude.shape[1])
        real, imaginary = self._griffin_lim(magnitude, magnitude * phase.cos(), magnitude * phase.sin())
        return self._spatialise(real, imaginary, directions)

    def _steady_phases(self, count: int) -> Tensor:
        """(frames, bins): phases that advance as steady tones at the bins' own frequencies."""
        frames = torch.arange(count, device=self.first_phases.device)[:, None]
        bins = torch.arange(self.fourier.bins, device=self.first_phases.device)
        quarter_turns = (frames * bins) % 4  # hop = size / 4: a bin advances by whole quarter turns
        return quarter_turns * (math.pi / 2) + self.first_phases

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
