"""The config of a small model for tests of the pipeline that bring their own stages."""

from omniaudio.config import ModelConfig, parse_config

CHANNELS, RATIO, RATE = 64, 100, 1000
FRAMES = 60  # of the native length: 6 s
FRAME_RATE = 2.0


def config(patch: int = 2) -> ModelConfig:
    oobleck = {"channels": 1, "c_mults": [1, 1], "strides": [10, 10], "use_snake": True}
    form = {
        "model_type": "diffusion_cond",
        "sample_size": FRAMES * RATIO,
        "sample_rate": RATE,
        "audio_channels": 4,
        "model": {
            "io_channels": CHANNELS,
            "pretransform": {
                "type": "autoencoder",
                "config": {
                    "encoder": {"type": "oobleck", "config": oobleck | {"in_channels": 4, "latent_dim": 2 * CHANNELS}},
                    "decoder": {
                        "type": "oobleck",
                        "config": oobleck | {"out_channels": 4, "latent_dim": CHANNELS, "final_tanh": False},
                    },
                    "bottleneck": {"type": "vae"},
                    "latent_dim": CHANNELS,
                    "downsampling_ratio": RATIO,
                    "io_channels": 4,
                },
            },
            "conditioning": {"configs": []},
            "diffusion": {
                "type": "dit",
                "diffusion_objective": "rectified_flow",
                "config": {
                    "io_channels": CHANNELS,
                    "embed_dim": 8,
                    "depth": 1,
                    "num_heads": 1,
                    "patch_size": patch,
                    "transformer_type": "continuous_transformer",
                },
            },
        },
        "omniaudio": {"frame_rate": FRAME_RATE},
    }
    return parse_config(form, "the test's config")
