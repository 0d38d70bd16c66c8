"""The released model's size with random weights: speed and memory depend on shapes, not on what was learned."""

import math

import torch
from torch import nn

from omniaudio.config import CONFIG_NAME, ModelConfig
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model_zoo import registry

RELEASED = registry.PACKAGED / "omniaudio" / CONFIG_NAME
SEED = 0


def random_model(config: ModelConfig) -> OmniAudio:
    """A model on torch's default device, in float32, in evaluation mode, whose matrices are all random.

    Training starts with zeros in some of them, and zeros multiply faster than numbers on some machines.
    """
    torch.manual_seed(SEED)
    model = OmniAudio(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.any():
                bound = 1 / math.sqrt(parameter[0].numel())
                parameter.uniform_(-bound, bound)
    return model.eval()


def round_matrices(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The same module with its linear layers and convolutions in a shorter type; made to be run under autocast, which
    widens what norms and the time embedding compute."""
    for part in model.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.ConvTranspose1d | nn.Conv2d):
            part.to(dtype)
    return model
