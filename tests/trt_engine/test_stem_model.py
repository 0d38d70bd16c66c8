"""A model that makes the stem of a given kind: exported without a stage for pictures, and sampled from its graphs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stem_model import STEM, stem_config

from omniaudio import zoo
from omniaudio.config import CONFIG_NAME
from omniaudio.errors import UserError
from omniaudio.model.checkpoint import save_weights
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.panorama import vision_inputs
from omniaudio.sampler import euler, guided
from trt_engine.bundle import Stage
from trt_engine.export import export_model
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession


@pytest.mark.slow
def test_stems_are_sampled_from_graphs_one_row_for_each_source(tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / CONFIG_NAME).write_text(json.dumps(STEM))
    save_weights(OmniAudio(stem_config()), tmp_path / "model.safetensors")
    bundle = export_model(zoo.find(str(tmp_path)))
    assert set(bundle.graphs) == {Stage.CONDITIONER, Stage.VELOCITY, Stage.DECODER, Stage.ENCODER}
    session = {stage: OnnxRuntimeSession(tmp_path / graph.file) for stage, graph in bundle.graphs.items()}
    frames = max(1, round(stem_config().duration * stem_config().omniaudio.frame_rate))
    kinds = np.repeat(np.eye(3, dtype=np.float32)[[0, 2]][:, None], frames, axis=1)  # a dog and a car
    conditions = session[Stage.CONDITIONER].run({"kinds": kinds})
    noise = np.random.default_rng(0).standard_normal((2, 16, stem_config().latent_frames)).astype(np.float32)

    def velocity(x: np.ndarray, t: np.ndarray, told: dict[str, np.ndarray]) -> np.ndarray:
        return session[Stage.VELOCITY].run({"x": x, "t": t, **told})["velocity"]

    latents = euler(guided(velocity, conditions, 2.0, ("global", "add")), noise, 4)  # type: ignore[arg-type]
    stems = session[Stage.DECODER].run({"latents": latents})["sound"]
    assert stems.shape == (2, 1, stem_config().latent_frames * stem_config().samples_per_latent)
    assert np.isfinite(stems).all()
    assert session[Stage.ENCODER].run({"sound": stems})["latents"].shape == latents.shape


def test_a_model_that_sees_no_pictures_says_so() -> None:
    picture = np.zeros((8, 16, 3), np.uint8)
    with pytest.raises(UserError, match="kind of sound"):
        vision_inputs(picture, "none")
