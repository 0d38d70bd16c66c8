"""A small model of the draft's form with random weights, real in every part."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from omniaudio import zoo
from omniaudio.config import CONFIG_NAME, parse_config
from omniaudio.model.checkpoint import save_weights
from omniaudio.model.efficientnet import EfficientNetLite0
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model.patches import VISION_NAME

RATE, RATIO, FRAMES, PATCH = 44100, 2048, 42, 2
SOUND, BANDS, WIDTH = 16, 4, 64

CONFIG = {
    "model_type": "diffusion_cond",
    "sample_size": FRAMES * RATIO,
    "sample_rate": RATE,
    "audio_channels": 4,
    "model": {
        "io_channels": SOUND + 3 * BANDS,
        "pretransform": {
            "type": "spectral_directional",
            "config": {
                "sample_rate": RATE,
                "mels": 32,
                "fft": 2048,
                "hop": 512,
                "frames_per_latent": 4,
                "latent_dim": SOUND,
                "direction_bands": BANDS,
                "griffin_lim_iterations": 2,
            },
        },
        "conditioning": {
            "configs": [
                {
                    "id": "panorama",
                    "type": "panorama_pointer",
                    "config": {
                        "dim": 1280,
                        "rows": 14,
                        "columns": 28,
                        "output_dim": WIDTH,
                        "global_dim": WIDTH,
                        "sources": 2,
                        "sound_channels": SOUND,
                        "direction_bands": BANDS,
                        "frame_rate": 2.0,
                        "latent_rate": RATE / RATIO,
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
                "io_channels": SOUND + 3 * BANDS,
                "embed_dim": WIDTH,
                "depth": 2,
                "num_heads": 2,
                "patch_size": PATCH,
                "global_cond_dim": WIDTH,
                "global_cond_type": "adaLN",
                "transformer_type": "continuous_transformer",
            },
        },
    },
    "omniaudio": {
        "prediction": "data",
        "guidance_drops": ["global"],
        "vision": {"type": "efficientnet_lite0"},
        "frame_rate": 2.0,
        "steps": 3,
        "guidance": 2.0,
    },
}


def random_model() -> OmniAudio:
    """Small random weights, rounded to float16 as a file keeps them."""
    torch.manual_seed(0)
    model = OmniAudio(parse_config(CONFIG, "the test's config"))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and not tensor.any():
                tensor.copy_(torch.randn_like(tensor) * 0.05)
            if name.endswith("pretransform.mean"):
                tensor.fill_(-9.0)
    return model.half().float().eval()


def write_model(folder: Path) -> zoo.Model:
    """Config and weights in a new folder; no graphs."""
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(json.dumps(CONFIG))
    save_weights(random_model().half(), folder / "model.safetensors")
    torch.manual_seed(1)
    eye = {name: tensor for name, tensor in EfficientNetLite0().state_dict().items() if "classifier" not in name}
    save_file({name: tensor.half() for name, tensor in eye.items()}, folder / VISION_NAME)
    return zoo.find(str(folder))
