"""A tiny model of the released form."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.model import RELEASED


def write_config(path: Path) -> Path:
    """The released config with every width and length small."""
    config: Any = json.loads(RELEASED.read_text("utf-8"))
    config["sample_size"] = 64 * 48
    config["omniaudio"] = {"frame_rate": 100.0}  # seven frames in 0.07 s
    parts = config["model"]
    coder = {"channels": 4, "c_mults": [1], "strides": [64]}
    autoencoder = parts["pretransform"]["config"]
    autoencoder["encoder"]["config"] |= coder
    autoencoder["decoder"]["config"] |= coder
    autoencoder["downsampling_ratio"] = 64
    for part in parts["conditioning"]["configs"]:
        part["config"]["output_dim"] = 64
    diffusion = parts["diffusion"]["config"]
    diffusion |= {"embed_dim": 64, "depth": 1, "num_heads": 2, "cond_token_dim": 0, "global_cond_dim": 64}
    path.write_text(json.dumps(config))
    return path


@contextmanager
def models_in(folder: Path) -> Iterator[None]:
    """Makes a folder the user's folder of models, where a model's MetaCLIP is looked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNIAUDIO_MODELS", str(folder))
        yield
