"""A model of the draft's kind, small enough to train in a test."""

from omniaudio.config import ModelConfig, parse_config

CONFIG = {
    "model_type": "diffusion_cond",
    "sample_size": 20 * 512,
    "sample_rate": 16000,
    "audio_channels": 4,
    "model": {
        "pretransform": {
            "type": "spectral_directional",
            "config": {
                "sample_rate": 16000, "mels": 32, "fft": 512, "hop": 128, "frames_per_latent": 4, "latent_dim": 16,
                "direction_bands": 2, "griffin_lim_iterations": 2,
            },
        },
        "conditioning": {
            "configs": [
                {
                    "id": "panorama",
                    "type": "panorama_pointer",
                    "config": {
                        "dim": 24, "rows": 4, "columns": 8, "output_dim": 32, "global_dim": 16, "sources": 2,
                        "sound_channels": 16, "direction_bands": 2, "frame_rate": 2.0, "latent_rate": 31.25,
                    },
                }
            ]
        },
        "diffusion": {
            "type": "dit",
            "diffusion_objective": "rectified_flow",
            "global_cond_ids": ["panorama"],
            "add_cond_ids": ["panorama"],
            "base_cond_ids": ["panorama"],
            "config": {
                "io_channels": 22, "embed_dim": 32, "depth": 1, "num_heads": 1, "patch_size": 2,
                "global_cond_dim": 16, "global_cond_type": "adaLN", "transformer_type": "continuous_transformer",
            },
        },
        "io_channels": 22,
    },
    "omniaudio": {
        "prediction": "data",
        "guidance_drops": ["global", "add"],
        "vision": {"type": "efficientnet_lite0"},
        "frame_rate": 2.0,
    },
}  # fmt: skip


def small_draft() -> ModelConfig:
    return parse_config(CONFIG, "the small draft")
