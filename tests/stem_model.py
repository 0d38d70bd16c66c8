"""A model that makes a mono stem of a given kind, small enough for a test."""

from typing import Any

from omniaudio.config import ModelConfig, parse_config

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
