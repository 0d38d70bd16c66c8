"""A model that makes a mono stem of a given kind, small enough for a test."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omniaudio.config import CONFIG_NAME, ModelConfig, parse_config
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.stems import kinds_of
from omniaudio.generation.windows import beside, noise, plan
from omniaudio.model_zoo import registry

STEM: dict[str, Any] = {
    "model_type": "diffusion_cond",
    "sample_size": 24 * 512,
    "sample_rate": 16000,
    "audio_channels": 1,
    "model": {
        "pretransform": {
            "type": "spectral",
            "config": {
                "sample_rate": 16000, "mels": 32, "fft": 512, "hop": 128, "frames_per_latent": 4, "latent_dim": 16,
                "griffin_lim_iterations": 2,
            },
        },
        "conditioning": {
            "configs": [
                {
                    "id": "kinds",
                    "type": "kind_vector",
                    "config": {"kinds": ["dog", "rain", "car"], "output_dim": 32, "global_dim": 16},
                }
            ]
        },
        "diffusion": {
            "type": "dit",
            "diffusion_objective": "rectified_flow",
            "global_cond_ids": ["kinds"],
            "add_cond_ids": ["kinds"],
            "config": {
                "io_channels": 16, "embed_dim": 32, "depth": 1, "num_heads": 1, "patch_size": 2,
                "global_cond_dim": 16, "global_cond_type": "adaLN", "transformer_type": "continuous_transformer",
            },
        },
        "io_channels": 16,
    },
    "omniaudio": {
        "prediction": "beyond_gaussian",
        "guidance_drops": ["global", "add"],
        "vision": {"type": "none"},
        "frame_rate": 8.0,
    },
}  # fmt: skip


def stem_config() -> ModelConfig:
    return parse_config(STEM, "the small stem model")


def write_stem_model(folder: Path) -> registry.Model:
    """Config and random weights in a new folder; no graphs."""
    from omniaudio.model.checkpoint import save_weights  # noqa: PLC0415 - needs torch, as what follows
    from omniaudio.model.omniaudio import OmniAudio  # noqa: PLC0415

    folder.mkdir()
    (folder / CONFIG_NAME).write_text(json.dumps(STEM))
    save_weights(OmniAudio(stem_config()), folder / "model.safetensors")
    return registry.find(str(folder))


def sampled_stems(stages: Stages, begin: float, steps: int = 3) -> NDArray[np.float32]:
    """Latents of two kinds, of two windows and of one, side by side as a take's stems are, from a time on."""
    config = stages.config
    per_frame = config.omniaudio.frame_rate * config.samples_per_latent / config.sample_rate
    patch = config.model.diffusion.config.patch_size
    plans = [plan(int(frames * config.latent_frames), config.latent_frames, per_frame, patch) for frames in (1.5, 0.5)]
    windows = beside(plans)
    (part,) = config.model.conditioning.configs
    store = stages.condition_store()
    for one, vector in zip(plans, np.eye(len(kinds_of(config)), dtype=np.float32)[:, None], strict=False):
        conditions = stages.conditions([{part.id: vector}] * one.video_frames)
        for _ in one.windows:
            store.append(conditions)
    rows: list[int] = []
    start = noise(1, 0, config.latent_channels, windows.frames)[None]
    try:
        found = stages.sample(start, windows, store, guidance=2.0, steps=steps, on_rows=rows.append, begin=begin)
    finally:
        store.close()
    assert sum(rows) == 3 * 2 * steps  # windows, halves of guidance
    return found
