"""A small model in the released form, and numbers that are the same on every machine."""

import copy
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omniaudio.config import ModelConfig, parse_config
from omniaudio.model.checkpoint import released_tensors
from omniaudio.model.omniaudio import OmniAudio

_CODER = {"channels": 8, "c_mults": [1, 2, 4], "strides": [4, 8, 16], "use_snake": True}

CONFIG: dict[str, Any] = {
    "model_type": "diffusion_cond",
    "sample_size": 22050,
    "sample_rate": 44100,
    "audio_channels": 4,
    "model": {
        "pretransform": {
            "type": "autoencoder",
            "config": {
                "encoder": {"type": "oobleck", "config": {**_CODER, "in_channels": 4, "latent_dim": 16}},
                "decoder": {
                    "type": "oobleck",
                    "config": {**_CODER, "out_channels": 4, "latent_dim": 8, "final_tanh": False},
                },
                "bottleneck": {"type": "vae"},
                "latent_dim": 8,
                "downsampling_ratio": 512,
                "io_channels": 4,
            },
        },
        "conditioning": {
            "configs": [
                {"id": "video_fov", "type": "video_linear", "config": {"dim": 24, "output_dim": 64}},
                {
                    "id": "video_360",
                    "type": "video_global",
                    "config": {"dim": 24, "output_dim": 64, "global_dim": 64},
                },
            ]
        },
        "diffusion": {
            "type": "dit",
            "diffusion_objective": "rectified_flow",
            "global_cond_ids": ["video_360"],
            "add_cond_ids": ["video_fov"],
            "config": {
                "io_channels": 8,
                "embed_dim": 64,
                "depth": 2,
                "num_heads": 2,
                "cond_token_dim": 16,
                "project_cond_tokens": False,
                "global_cond_dim": 64,
                "transformer_type": "continuous_transformer",
            },
        },
        "io_channels": 8,
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The config with the value at a dotted path replaced."""
    data = copy.deepcopy(CONFIG)
    *parents, last = path.split(".")
    place = data
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return data


def config(**diffusion: Any) -> ModelConfig:
    """The config, with keys of the transformer replaced."""
    data = copy.deepcopy(CONFIG)
    data["model"]["diffusion"]["config"].update(diffusion)
    return parse_config(data, "the test's config")


def numbers(name: str, shape: tuple[int, ...], scale: float = 1.0) -> torch.Tensor:
    """Normal numbers that depend on the name and the shape alone."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return torch.from_numpy((scale * generator.standard_normal(shape)).astype(np.float32))


def checkpoint_tensors(model_config: ModelConfig) -> dict[str, torch.Tensor]:
    """A checkpoint for a config, in the released form, filled by `numbers`; rotary frequencies are no free numbers."""
    return {
        name: tensor if name.endswith("inv_freq") else numbers(name, tuple(tensor.shape), 0.2)
        for name, tensor in released_tensors(OmniAudio(model_config))
    }


def write_model(folder: Path, data: dict[str, Any] = CONFIG) -> None:
    """A model's folder: config and `model.ckpt`, as they are released."""
    (folder / "model_config.json").write_text(json.dumps(data))
    tensors = checkpoint_tensors(parse_config(data, "the test's config"))
    torch.save({"state_dict": tensors}, folder / "model.ckpt")
