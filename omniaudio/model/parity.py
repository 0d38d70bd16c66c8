"""Parity: compares the model's outputs with those of another implementation, stored in a folder."""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from omniaudio.config import ModelConfig, load_config
from omniaudio.errors import UserError
from omniaudio.generation.sampler import euler, guided
from omniaudio.model.checkpoint import find_weights, load_model
from omniaudio.model.omniaudio import OmniAudio

FIGURES_NAME = "io.safetensors"
INPUTS = {"video_360", "video_fov", "noise", "t", "vae_in"}


def relative_errors(folder: Path) -> dict[str, float]:
    """Compute every output in the folder's `io.safetensors` from its inputs.

    Outputs are `velocity_cfg<guidance>`, `latents_<steps>_steps_cfg<guidance>`, `audio` (those latents, decoded),
    `vae_encoder_out` and `vae_mean_decoded`.

    Returns:
        For each output, the largest error relative to the largest expected absolute value.

    Raises:
        UserError: a file is missing or damaged, or contains an unknown output.
    """
    config = load_config(folder)
    if config.model.pretransform.type != "autoencoder":
        raise UserError(f"The outputs in {folder} need the released autoencoder, which its config lacks.")
    model = load_model(config, find_weights(folder))
    try:
        figures = load_file(folder / FIGURES_NAME)
        missing = INPUTS - figures.keys()
    except (SafetensorError, OSError) as error:
        raise UserError(f"There are no readable outputs at {folder / FIGURES_NAME}; check the folder.") from error
    if missing:
        raise UserError(f"{folder / FIGURES_NAME} lacks the inputs {', '.join(sorted(missing))}.")
    errors = {}
    with torch.inference_mode():
        for name, actual in _outputs(model, config, figures).items():
            expected = figures[name]
            errors[name] = float((actual - expected).abs().max() / expected.abs().max())
    return errors


def _outputs(model: OmniAudio, config: ModelConfig, figures: dict[str, Tensor]) -> dict[str, Tensor]:
    noise, t = figures["noise"], figures["t"]
    features = {name: figures[name][None] for name in ("video_360", "video_fov")}
    conditions = model.conditions(features, noise.shape[-1])

    def flow(guidance: str) -> Callable[[Tensor, Tensor], Tensor]:
        return guided(model.velocity, conditions, float(guidance), config.omniaudio.guidance_drops)

    outputs: dict[str, Tensor] = {}
    for name in sorted(figures.keys() - INPUTS, key=lambda name: name == "audio"):
        if match := re.fullmatch(r"velocity_cfg([\d.]+)", name):
            outputs[name] = flow(match[1])(noise, t)
        elif match := re.fullmatch(r"latents_(\d+)_steps_cfg([\d.]+)", name):
            latents = outputs[name] = euler(flow(match[2]), noise, int(match[1]))
        elif name == "audio":
            outputs[name] = model.decode(latents)
        elif name == "vae_encoder_out":
            outputs[name] = model.pretransform.get_submodule("encoder")(figures["vae_in"])
        elif name == "vae_mean_decoded":
            outputs[name] = model.decode(model.encode(figures["vae_in"]))
        else:
            raise UserError(f"The figure {name!r} in {FIGURES_NAME} is not known; remove it or update omniaudio.")
    return outputs
