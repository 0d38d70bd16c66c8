"""A model that makes the stem of a given kind: exported without a vision stage, and sampled from its graphs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from omniaudio import encoders
from omniaudio.errors import UserError
from omniaudio.generation.sampler import euler, guided
from omniaudio.generation.windows import noise
from omniaudio.model_zoo import registry
from support.stem_model import sampled_stems, stem_config, write_stem_model
from trt_engine.bundling.export import export_model
from trt_engine.compile.bundle import Stage
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.open import open_pipeline


@pytest.mark.slow
def test_stems_are_sampled_from_graphs_one_row_for_each_source(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = write_stem_model(tmp_path / "stems")
    bundle = export_model(model)
    assert set(bundle.graphs) == {Stage.CONDITIONER, Stage.VELOCITY, Stage.DECODER, Stage.ENCODER}
    session = {stage: OnnxRuntimeSession(model.folder / graph.file) for stage, graph in bundle.graphs.items()}
    frames = max(1, round(stem_config().duration * stem_config().omniaudio.frame_rate))
    kinds = np.repeat(np.eye(3, dtype=np.float32)[[0, 2]][:, None], frames, axis=1)  # a dog and a car
    conditions = session[Stage.CONDITIONER].run({"kinds": kinds})
    start = np.random.default_rng(0).standard_normal((2, 16, stem_config().latent_frames)).astype(np.float32)

    def velocity(x: np.ndarray, t: np.ndarray, told: dict[str, np.ndarray]) -> np.ndarray:
        return session[Stage.VELOCITY].run({"x": x, "t": t, **told})["velocity"]

    latents = euler(guided(velocity, conditions, 2.0, ("global", "add")), start, 4)  # type: ignore[arg-type]
    stems = session[Stage.DECODER].run({"latents": latents})["sound"]
    assert stems.shape == (2, 1, stem_config().latent_frames * stem_config().samples_per_latent)
    assert np.isfinite(stems).all()
    assert session[Stage.ENCODER].run({"sound": stems})["latents"].shape == latents.shape


def test_a_model_without_vision_says_so() -> None:
    with pytest.raises(UserError, match="kind of sound"):
        encoders.find(encoders.NONE)


@pytest.mark.parametrize("begin", [1.0, 0.4])
@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_every_backend_samples_the_same_stems(model: registry.Model, backend: str, begin: float) -> None:
    """From given kinds, numpy arrays on every back-end, and from a latent on its way as from noise."""
    wanted, found = (sampled_stems(open_pipeline(model, name), begin) for name in ("onnxruntime", backend))
    assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_sampling_from_a_time_on_stays_near_where_it_starts(model: registry.Model) -> None:
    """From nearly the end on there is nearly no way to go; from noise there is."""
    near, far = (sampled_stems(open_pipeline(model, "onnxruntime"), begin) for begin in (1e-4, 1.0))
    start = noise(1, 0, near.shape[1], near.shape[2])
    np.testing.assert_allclose(near[0], start, atol=0.05)
    assert np.abs(far - near).max() > 1
