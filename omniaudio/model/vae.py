"""The Oobleck variational autoencoder with four channels, as the released model uses it.

Module names follow the released checkpoint. Its convolutions are stored weight-normalised and are plain here;
`checkpoint.py` converts between the two.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from omniaudio.config import AutoencoderConfig, OobleckDecoderConfig, OobleckEncoderConfig

DILATIONS = (1, 3, 9)
MINIMUM_STDEV = 1e-4


class SnakeBeta(nn.Module):
    """x + sin²(αx)/β for each channel, with α and β stored as logarithms (BigVGAN, arXiv 2206.04658)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) -> the same."""
        alpha, beta = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return x + torch.sin(alpha * x).square() / (beta + 1e-9)


class ResidualUnit(nn.Module):
    """A dilated convolution and a pointwise one, added to the input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SnakeBeta(channels),
            nn.Conv1d(channels, channels, kernel_size=7, dilation=dilation, padding=3 * dilation),
            SnakeBeta(channels),
            nn.Conv1d(channels, channels, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.layers(x)
        return x + branch


class EncoderBlock(nn.Module):
    """Residual units, then a convolution that shortens by `stride`."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(ResidualUnit(channels_in, dilation) for dilation in DILATIONS),
            SnakeBeta(channels_in),
            nn.Conv1d(channels_in, channels_out, kernel_size=2 * stride, stride=stride, padding=math.ceil(stride / 2)),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class DecoderBlock(nn.Module):
    """A transposed convolution that lengthens by `stride`, then residual units."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        padding = math.ceil(stride / 2)
        self.layers = nn.Sequential(
            SnakeBeta(channels_in),
            nn.ConvTranspose1d(channels_in, channels_out, kernel_size=2 * stride, stride=stride, padding=padding),
            *(ResidualUnit(channels_out, dilation) for dilation in DILATIONS),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class OobleckEncoder(nn.Module):
    """Sound (batch, channels, samples) to (batch, latent dim, frames): mean and scale of the latents."""

    def __init__(self, config: OobleckEncoderConfig) -> None:
        super().__init__()
        widths = [config.channels * multiplier for multiplier in (1, *config.c_mults)]
        blocks = zip(widths[:-1], widths[1:], config.strides, strict=True)
        self.layers = nn.Sequential(
            nn.Conv1d(config.in_channels, widths[0], kernel_size=7, padding=3),
            *(EncoderBlock(*block) for block in blocks),
            SnakeBeta(widths[-1]),
            nn.Conv1d(widths[-1], config.latent_dim, kernel_size=3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class OobleckDecoder(nn.Module):
    """Latents (batch, latent dim, frames) to sound (batch, channels, samples)."""

    def __init__(self, config: OobleckDecoderConfig) -> None:
        super().__init__()
        widths = [config.channels * multiplier for multiplier in (1, *config.c_mults)]
        blocks = reversed(list(zip(widths[1:], widths[:-1], config.strides, strict=True)))
        self.layers = nn.Sequential(
            nn.Conv1d(config.latent_dim, widths[-1], kernel_size=7, padding=3),
            *(DecoderBlock(*block) for block in blocks),
            SnakeBeta(widths[0]),
            nn.Conv1d(widths[0], config.out_channels, kernel_size=7, padding=3, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class Autoencoder(nn.Module):
    """Encoder, Gaussian bottleneck and decoder."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.encoder = OobleckEncoder(config.encoder.config)
        self.decoder = OobleckDecoder(config.decoder.config)

    def posterior(self, foa: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents, each (batch, channels, frames), of sound (batch, 4, samples)."""
        mean, scale = self.encoder(foa).chunk(2, dim=1)
        return mean, F.softplus(scale) + MINIMUM_STDEV

    def encode(self, foa: Tensor) -> Tensor:
        """Sound (batch, 4, samples) to the mean of its latents (batch, channels, frames)."""
        return self.posterior(foa)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (batch, channels, frames) to sound (batch, 4, samples)."""
        foa: Tensor = self.decoder(latents)
        return foa
