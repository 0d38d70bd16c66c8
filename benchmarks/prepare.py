"""Writes the released model's size with random weights, and its graphs: `python -m benchmarks.prepare FOLDER`.

MetaCLIP is a small layer here: these graphs are measured from its features on.
"""

import os
import shutil
import sys
from pathlib import Path

import transformers

from benchmarks.model import RELEASED, random_model
from omniaudio.config import CONFIG_NAME, load_config
from omniaudio.encoders import METACLIP_FOLDER
from omniaudio.model.checkpoint import save_weights
from omniaudio.model_zoo import registry
from omniaudio.vision.metaclip import FEATURES
from trt_engine.bundling.export import export_model

MODEL = "omniaudio-random"


def write_model(config: Path, folder: Path) -> registry.Model:
    """Config and random weights in a new folder of models, with a small MetaCLIP beside."""
    target = folder / MODEL
    target.mkdir(parents=True, exist_ok=True)
    save_weights(random_model(load_config(config)), target / "model.safetensors")
    vision = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1, projection_dim=FEATURES
    )
    transformers.CLIPVisionModelWithProjection(vision).save_pretrained(folder / METACLIP_FOLDER)
    whole = transformers.CLIPConfig(vision_config=vision.to_dict(), projection_dim=FEATURES)
    whole.save_pretrained(folder / METACLIP_FOLDER)  # over the half's own, which says less
    shutil.copy(config, target / CONFIG_NAME)
    return registry.find(str(target))


def main() -> None:
    """See the module."""
    folder = Path(sys.argv[1])
    os.environ["OMNIAUDIO_MODELS"] = str(folder)
    export_model(write_model(RELEASED, folder))


if __name__ == "__main__":
    main()
