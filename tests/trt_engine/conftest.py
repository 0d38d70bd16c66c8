"""A small model of the draft's form with random weights, real in every part, and its bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omniaudio.config import CONFIG_NAME, parse_config

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402 - there where torch is

from omniaudio import zoo  # noqa: E402
from omniaudio.model.checkpoint import save_weights  # noqa: E402
from omniaudio.model.efficientnet import EfficientNetLite0  # noqa: E402
from omniaudio.model.omniaudio import OmniAudio  # noqa: E402
from omniaudio.model.patches import VISION_NAME  # noqa: E402
from trt_engine.export import export_model  # noqa: E402

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


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> zoo.Model:
    """The model in a folder, with its bundle."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(json.dumps(CONFIG))
    save_weights(random_model().half(), folder / "model.safetensors")
    torch.manual_seed(1)
    eye = {name: tensor for name, tensor in EfficientNetLite0().state_dict().items() if "classifier" not in name}
    save_file({name: tensor.half() for name, tensor in eye.items()}, folder / VISION_NAME)
    found = zoo.find(str(folder))
    export_model(found)
    return found


@pytest.fixture(scope="session")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still panorama whose edges meet."""
    azimuth = np.linspace(np.pi, -np.pi, 1024, endpoint=False)
    elevation = np.linspace(np.pi / 2, -np.pi / 2, 512)
    waves = [np.cos(elevation)[:, None] * np.cos(azimuth + turn) for turn in (0.0, 1.0, 2.0)]
    path = tmp_path_factory.mktemp("pictures") / "panorama.png"
    Image.fromarray(np.stack([127 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)).save(path)
    return path
