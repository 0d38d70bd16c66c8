"""Generating in torch on the CPU: the code that runs on a GPU, but for the captured graph."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniaudio.generation import sampler
from omniaudio.generation.pipeline import SAMPLING, Generation, Settings
from omniaudio.generation.windows import plan
from omniaudio.model_zoo import registry
from omniaudio.progress import Report
from omniaudio.video.stills import read_still
from support.released_form import models_in
from trt_engine.compile.bundle import Stage
from trt_engine.runtime.session import Description

torch = pytest.importorskip("torch")

from trt_engine.graphs.stage_modules import load_parts  # noqa: E402
from trt_engine.runtime.torch.pipeline import CapturedFlow, TensorStore, TorchPipeline  # noqa: E402 - where torch is


def open_torch(model: registry.Model, dtype: "torch.dtype") -> TorchPipeline:
    with models_in(model.folder.parent):
        loaded, vision = load_parts(model)
    description = Description(model.name, "0" * 64, loaded.config, "torch")
    return TorchPipeline(description, loaded, vision, torch.device("cpu"), dtype)


@pytest.fixture(scope="module")
def stages(joint: registry.Model) -> TorchPipeline:
    return open_torch(joint, torch.float32)


@pytest.fixture
def looked(stages: TorchPipeline, panorama: Path) -> Iterator[Generation]:
    """A clip of two windows with the features of its frames."""
    generation = clip(stages, panorama)
    yield generation
    generation.close()


def clip(stages: TorchPipeline, panorama: Path, guidance: float = 2.0) -> Generation:
    chosen = Settings(seed=1, takes=1, steps=3, guidance=guidance)
    generation = Generation(stages, 1.5 * stages.config.duration, chosen, lambda report: None)
    generation.look(iter([read_still(panorama)] * 20))
    return generation


def test_features_and_conditions_stay_tensors(stages: TorchPipeline, looked: Generation) -> None:
    store = looked._conditions
    assert isinstance(store, TensorStore)
    told = store.read([0, 1], repeat=2)
    assert all(isinstance(value, torch.Tensor) and len(value) == 4 for value in told.values())
    latents = looked.sample()
    assert isinstance(latents, np.ndarray)
    assert latents.dtype == np.float32
    assert stages.decode(latents[..., :24]).dtype == np.float32


def test_it_is_deterministic(looked: Generation) -> None:
    np.testing.assert_array_equal(looked.sample(), looked.sample())


@pytest.mark.slow
def test_rounded_matrices_change_the_latents_a_little(
    joint: registry.Model, looked: Generation, panorama: Path
) -> None:
    """bfloat16 keeps 8 bits; the other stages are the same to the bit."""
    exact = looked.sample()
    rounded_stages = open_torch(joint, torch.bfloat16)
    rounded = clip(rounded_stages, panorama)
    error = np.abs(rounded.sample() - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 0.2
    rounded.close()
    shown = {name: np.zeros((1, 224, 224, 3), np.uint8) for name in ("video_360", "video_fov")}
    wanted = looked.stages.vision(shown)["video_360"]
    np.testing.assert_array_equal(rounded_stages.vision(shown)["video_360"], wanted)


def test_what_a_report_raises_ends_the_sampling(stages: TorchPipeline, panorama: Path) -> None:
    def cancel(report: Report) -> None:
        if report.stage == SAMPLING:
            raise KeyboardInterrupt

    generation = Generation(
        stages, 1.5 * stages.config.duration, Settings(seed=0, takes=1, steps=50, guidance=2.0), cancel
    )
    generation.look(iter([read_still(panorama)] * 10))
    with pytest.raises(KeyboardInterrupt):
        generation.sample()
    generation.close()


def test_conditions_are_overwritten_in_place(looked: Generation) -> None:
    """What a captured graph reads from: the addresses stay, the numbers are the new clip's."""
    store: TensorStore = looked._conditions
    copied = store.copy()
    before = copied.read([0], repeat=1)
    other = TensorStore()
    for _ in looked.windows.windows:
        other.append({name: value + 1 for name, value in before.items()})
    records = [{name: tensor.data_ptr() for name, tensor in record.items()} for record in copied._records]
    copied.take(other)
    assert records == [{name: tensor.data_ptr() for name, tensor in record.items()} for record in copied._records]
    for name, value in copied.read([1], repeat=1).items():
        np.testing.assert_array_equal(value, before[name] + 1)
    np.testing.assert_array_equal(store.read([0], repeat=1)["global"], before["global"])


class Graph:
    """In place of CUDA's: nothing is recorded, and what is done while it is captured is done at once."""

    def wait_stream(self, other: "Graph") -> None: ...

    def replay(self) -> None: ...


def test_a_captured_flow_keeps_what_its_graph_reads(
    stages: TorchPipeline, looked: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph knows addresses alone: the windows' weights must stay where they are."""
    for name in ("Stream", "current_stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, Graph)
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, lambda of: nullcontext())
    read: list[weakref.ref[torch.Tensor]] = []

    def as_like(values: Any, like: torch.Tensor) -> torch.Tensor:
        tensor = torch.tensor(values, dtype=like.dtype)
        read.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(sampler, "as_like", as_like)
    config = stages.config
    like = torch.zeros(1, config.latent_channels, looked.windows.frames)
    with torch.inference_mode():
        flow = CapturedFlow(stages, looked.windows, looked._conditions, 2.0, like)
    assert len(read) == len(looked.windows.windows)
    assert all(tensor() is not None for tensor in read)
    assert flow.fits(looked.windows, 1, 2.0)


def test_a_pipeline_that_is_let_go_is_gone(model: registry.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with it the device's memory, whatever flow it has kept; not when the garbage collector comes."""
    gc.collect()
    gc.disable()
    try:
        stages = open_torch(model, torch.bfloat16)
        windows = plan(stages.config.latent_frames, stages.config.latent_frames, 0.1)
        stages._captured = stages.flow(windows, TensorStore(), 2.0, torch.zeros(1), lambda rows: None)  # type: ignore[assignment]
        gone = weakref.ref(stages)
        del stages
        assert gone() is None
    finally:
        gc.enable()


def test_float32_is_not_rounded_by_a_gpu(model: registry.Model) -> None:
    torch.backends.cudnn.allow_tf32 = True
    open_torch(model, torch.float32)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_every_stage_is_a_session(stages: TorchPipeline) -> None:
    sound = np.zeros((1, 4, 24 * stages.config.samples_per_latent), np.float32)
    assert stages.session(Stage.ENCODER).run({"sound": sound})["latents"].shape[-1] == 24
