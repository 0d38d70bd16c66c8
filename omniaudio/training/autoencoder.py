"""Fits the draft's autoencoder. Its components have a closed form, so no gradient descent is needed."""

import torch
from torch import Tensor

from omniaudio.model.spectral import SpectralCodec


@torch.no_grad()
def fit(codec: SpectralCodec, powers: Tensor) -> float:
    """Principal components of log-mel blocks, from mel powers (clips, mels, frames).

    Latents are divided by the square root of their standard deviation (partial whitening: full whitening would have the
    flow spend itself on components that nobody hears), then brought to unit mean power.

    Returns:
        The share of the variance that the components leave out.
    """
    blocks = codec.folded_log(powers).flatten(0, 1).double()
    mean = blocks.mean(0)
    centred = blocks - mean
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    kept = codec.config.latent_dim
    deviation = variances.flip(0)[:kept].clamp(min=1e-9).sqrt()
    codec.mean.copy_(mean)
    codec.components.copy_(axes.flip(1)[:, :kept].T)
    codec.scale.copy_(deviation.sqrt() * deviation.mean().sqrt())
    return float(variances.flip(0)[kept:].clamp(min=0).sum() / variances.sum())
