"""The part of a denoiser that is known without training: the best estimate if every latent channel were Gaussian.

For x_t = (1−t)·z + t·noise with z ~ N(m, v) and noise ~ N(0, 1), the posterior mean of z is
m + v·(1−t)/d · (x_t − (1−t)·m) with d = v·(1−t)² + t², and its deviation is t·√(v/d). The transformer predicts the rest
in units of that deviation, as the preconditioning of Karras et al. 2022 (arXiv 2206.00364, section 5) does for
one variance of all data. So an untrained model is a Gaussian sampler, with each channel's level right from the start.
"""

import torch
from torch import Tensor, nn

VARIANCE_FLOOR = 1e-4


class GaussianSkip(nn.Module):
    """Mean and variance (channels,) of the latents, and the estimate that follows from them."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    @torch.no_grad()
    def fit(self, latents: Tensor) -> None:
        """Measure both from clean latents (clips, channels, frames)."""
        self.mean.copy_(latents.mean((0, 2)))
        self.variance.copy_(latents.var((0, 2)).clamp(min=VARIANCE_FLOOR))

    def like_data(self, noise: Tensor) -> Tensor:
        """Standard normal numbers (batch, channels, frames) → latents of the data's mean and variance."""
        latents: Tensor = self.mean[:, None] + self.variance.sqrt()[:, None] * noise
        return latents

    def forward(self, x: Tensor, t: Tensor, beyond: Tensor) -> Tensor:
        """Predict the data, (batch, channels, frames).

        Args:
            x: noisy latents, (batch, channels, frames).
            t: (batch,), in (0, 1].
            beyond: the transformer's output, shaped as `x`.
        """
        noise = t[:, None, None]
        data = 1 - noise
        mean, variance = self.mean[:, None], self.variance[:, None]
        spread = variance * data.square() + noise.square()
        guess: Tensor = mean + variance * data / spread * (x - data * mean)
        return guess + noise * (variance / spread).sqrt() * beyond
