"""The pipeline of the TensorRTs without a GPU: its memory, addresses and order of launches, in the host's memory.

The device is one of numpy buffers at real addresses, and an engine is its graph in ONNX Runtime, reading from and
writing to the addresses that it is given. What TensorRT itself does cannot be tested here.
"""

import ctypes
import gc
import weakref
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniaudio.errors import UserError
from omniaudio.generation.pipeline import SAMPLING, Generation, Settings
from omniaudio.generation.sampler import Held
from omniaudio.model_zoo import registry
from omniaudio.progress import Report
from omniaudio.video.stills import read_still
from support.stem_model import sampled_stems
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Stage
from trt_engine.compile.compiler import library
from trt_engine.compile.targets import Flavour
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.open import open_pipeline
from trt_engine.runtime.session import Array, Description
from trt_engine.runtime.tensorrt import device, pipeline
from trt_engine.runtime.tensorrt.device import DeviceArray
from trt_engine.runtime.tensorrt.pipeline import ALIGNMENT, TensorRtPipeline, chunks_of_rows

pytest.importorskip("tensorrt_rtx")
MAX_ROWS = 6
"""That an engine takes at once: the clips below need more."""


class HostDriver:
    """The host's memory as a device: everything is done at once, and new memory holds no numbers."""

    stream = 0
    distribution = "cuda-bindings"

    def __init__(self) -> None:
        self._buffers: dict[int, Array] = {}
        self.launches = 0

    def properties(self) -> tuple[str, int]:
        return "the host", 89

    def allocate(self, nbytes: int) -> int:
        buffer = np.full(nbytes, 0xFF, np.uint8)
        self._buffers[buffer.ctypes.data] = buffer
        return buffer.ctypes.data

    def free(self, address: int) -> None:
        del self._buffers[address]

    def pinned(self, nbytes: int) -> Array:
        return np.empty(nbytes, np.uint8)

    def clear(self, address: int, nbytes: int) -> None:
        ctypes.memset(address, 0, nbytes)

    def to_device(self, address: int, host: Array) -> None:
        self.within_device(address, host.ctypes.data, host.nbytes)

    def to_host(self, host: Array, address: int) -> None:
        self.within_device(host.ctypes.data, address, host.nbytes)

    def within_device(self, target: int, source: int, nbytes: int) -> None:
        ctypes.memmove(target, source, nbytes)

    def synchronize(self) -> None: ...

    def record(self) -> None: ...

    def wait(self, event: None) -> None: ...

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        def launch() -> None:
            self.launches += 1
            launches()

        return launch


class GraphEngine:
    """A graph in ONNX Runtime with an engine's interface."""

    def __init__(self, graph: Path, flavour: Flavour, on: device.Device, captured: bool = False) -> None:
        self._graph = OnnxRuntimeSession(graph)
        self._device = on
        self._shapes: dict[str, tuple[int, ...]] = {}

    def greatest(self, name: str) -> tuple[int, ...]:
        return (MAX_ROWS,)

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = dict(shapes)

    def launch(self, addresses: Mapping[str, int]) -> None:
        def at(name: str, shape: tuple[int, ...]) -> Array:
            kind = ctypes.c_int32 if name in {"index", "cut"} else ctypes.c_float
            return np.ctypeslib.as_array(ctypes.cast(addresses[name], ctypes.POINTER(kind)), shape)

        assert all(addresses[name] % 4 == 0 for name in addresses)
        outputs = self._graph.run({name: at(name, shape) for name, shape in self._shapes.items()})
        for name, value in outputs.items():
            at(name, value.shape)[:] = value

    def compute(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        outputs = self._graph.run({name: self._device.read(array) for name, array in inputs.items()})
        return {name: self._device.upload(value) for name, value in outputs.items()}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._graph.run(inputs)

    def keep_kernels(self) -> None: ...


@pytest.fixture
def open_on_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[registry.Model], TensorRtPipeline]:
    def graph_for(folder: Path, found: bundle.Bundle, stage: Stage, **kind: Any) -> bundle.Graph:
        return found.graphs[stage]

    def keep_graph(job: Any, target: Path) -> None:
        target.write_bytes(job.graph.read_bytes())

    monkeypatch.setattr(device, "_open_driver", HostDriver)
    monkeypatch.setattr(pipeline, "TensorRtSession", GraphEngine)
    monkeypatch.setattr(pipeline, "engine_for", graph_for)
    monkeypatch.setattr(pipeline, "compile_graph", keep_graph)
    monkeypatch.setattr(pipeline, "cache_folder", lambda: tmp_path / "cache")

    def open_model(model: registry.Model) -> TensorRtPipeline:
        host = open_pipeline(model, "onnxruntime")
        description = Description(host.name, host.identity, host.config, "tensorrt-rtx")
        return TensorRtPipeline(description, model.folder, bundle.load(model.folder), Flavour.TENSORRT_RTX)

    return open_model


@pytest.fixture
def open_stages(
    open_on_host: Callable[[registry.Model], TensorRtPipeline], joint: registry.Model
) -> Callable[[], TensorRtPipeline]:
    return lambda: open_on_host(joint)


@pytest.fixture
def stages(open_stages: Callable[[], TensorRtPipeline]) -> TensorRtPipeline:
    return open_stages()


def sampled(
    stages: Any,
    panorama: Path,
    lengths: float,
    report: Callable[[Report], None],
    held: Held | None = None,
    **options: Any,
) -> Array:
    """Latents of so many native lengths."""
    chosen = Settings(**({"seed": 1, "takes": 1, "steps": 3, "guidance": 2.0} | options))
    generation = Generation(stages, lengths * stages.config.duration, chosen, report)
    try:
        frame = read_still(panorama)
        generation.look(iter([frame] * 6 + [frame[:, ::-1].copy()] * 20))
        return generation.sample(held)
    finally:
        generation.close()


@pytest.mark.slow
def test_it_tells_the_versions_of_what_runs_it(stages: TensorRtPipeline) -> None:
    assert dict(stages.versions) == {
        "tensorrt-rtx": library(Flavour.TENSORRT_RTX).__version__,
        "cuda-bindings": version("cuda-bindings"),
    }


def test_it_computes_what_the_host_computes(joint: registry.Model, stages: TensorRtPipeline, panorama: Path) -> None:
    """One window and several chunks of rows, takes, steps, guidance and none, one after the other on one pipeline."""
    host = open_pipeline(joint, "onnxruntime")
    for lengths, options in (
        (0.5, {}),
        (1.9, {"takes": 2}),
        (1.9, {"takes": 2, "seed": 7, "steps": 2}),
        (1.5, {"guidance": 1.0}),
    ):
        wanted = sampled(host, panorama, lengths, lambda report: None, **options)
        found = sampled(stages, panorama, lengths, lambda report: None, **options)
        assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    np.testing.assert_array_equal(stages.decode(found[:, :, :24]), host.decode(found[:, :, :24]))


@pytest.mark.parametrize("begin", [1.0, 0.4])
def test_stems_are_sampled_as_on_the_host(
    model: registry.Model, open_on_host: Callable[[registry.Model], TensorRtPipeline], begin: float
) -> None:
    """From given kinds, in several chunks of rows, and from a latent on its way as from noise."""
    wanted, found = (
        sampled_stems(stages, begin) for stages in (open_pipeline(model, "onnxruntime"), open_on_host(model))
    )
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_steps_are_kept_for_the_next_clip_of_the_same_sizes(stages: TensorRtPipeline, panorama: Path) -> None:
    first = sampled(stages, panorama, 1.6, lambda report: None)
    kept = stages._sampler
    np.testing.assert_array_equal(sampled(stages, panorama, 1.6, lambda report: None), first)
    assert stages._sampler is kept
    sampled(stages, panorama, 1.6, lambda report: None, takes=2)
    assert stages._sampler is not kept


@pytest.mark.slow
def test_known_latents_are_held_as_on_the_host_and_forgotten_for_the_next_clip(
    joint: registry.Model, stages: TensorRtPipeline, panorama: Path
) -> None:
    host = open_pipeline(joint, "onnxruntime")
    frames = int(1.4 * stages.config.latent_frames)
    known = np.random.default_rng(0).standard_normal((stages.config.latent_channels, frames), np.float32)
    held = Held(known, np.arange(frames) % 50 < 20)
    for part in (held, None):
        wanted = sampled(host, panorama, 1.5, lambda report: None, part, takes=2)
        found = sampled(stages, panorama, 1.5, lambda report: None, part, takes=2)
        assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
        if part is not None:
            np.testing.assert_allclose(found[1][:, :frames][:, held.frames], known[:, held.frames], atol=1e-5)


def test_memory_is_given_back_at_once(open_stages: Callable[[], TensorRtPipeline], panorama: Path) -> None:
    """Not when the garbage collector comes: the next clip or model needs it."""
    gc.collect()
    gc.disable()
    try:
        stages = open_stages()
        driver: Any = stages.device.driver
        sampled(stages, panorama, 1.6, lambda report: None)
        sampler = stages._sampler
        assert sampler is not None
        gone = weakref.ref(sampler)
        del sampler
        sampled(stages, panorama, 1.6, lambda report: None, takes=2)
        assert gone() is None
        assert driver._buffers
        del stages
        assert not driver._buffers
    finally:
        gc.enable()


def test_more_than_the_step_is_compiled_for_is_a_message(
    stages: TensorRtPipeline, panorama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trt_engine.graphs.sampler_step.MAX_TAKES", 2)
    with pytest.raises(UserError, match="2 takes of 60 minutes"):
        sampled(stages, panorama, 0.5, lambda report: None, takes=3)


def test_what_a_report_raises_ends_the_sampling_within_a_step(stages: TensorRtPipeline, panorama: Path) -> None:
    told = 0

    def cancel(report: Report) -> None:
        nonlocal told
        told += report.stage == SAMPLING
        if told > 10:
            raise KeyboardInterrupt

    driver: Any = stages.device.driver
    driver.launches = 0
    with pytest.raises(KeyboardInterrupt):
        sampled(stages, panorama, 1.6, cancel, steps=50)
    assert 0 < driver.launches < 50


@given(rows=st.integers(1, 5000), most=st.integers(64, 300), row_floats=st.integers(1, 100_000))
def test_chunks_hold_all_rows_and_begin_aligned(rows: int, most: int, row_floats: int) -> None:
    chunk, count = chunks_of_rows(rows, most, 4 * row_floats)
    assert chunk <= most
    assert chunk * count >= rows
    assert count == 1 or chunk * row_floats * 4 % ALIGNMENT == 0


def test_too_few_rows_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="64 are needed"):
        chunks_of_rows(10, 3, 4)


def test_without_engines_the_bundle_says_how_to_build_them(
    model: registry.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_open_driver", HostDriver)
    with pytest.raises(UserError, match="omniaudio build"):
        open_pipeline(model, "tensorrt-rtx")
