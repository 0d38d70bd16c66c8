"""Graphs that share the model's own weights file, in every back-end."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from omniaudio.errors import UserError
from omniaudio.model_zoo import registry
from support.released_form import models_in
from support.stem_model import write_stem_model
from trt_engine.bundling.export import GRAPH_WEIGHTS, UNFINISHED, export_model
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Stage
from trt_engine.graphs.stage_modules import StageModule, example_frames, load_parts, stage_modules
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.openvino import OpenVinoSession
from trt_engine.runtime.session import Session
from trt_engine.runtime.torch.pipeline import TorchSession

pytestmark = pytest.mark.slow

MAX_ERROR = 1e-3
STAGES = [stage for stage in Stage if stage is not Stage.VISION]


def written(folder: Path) -> dict[str, int]:
    """Every graph, and when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.onnx")}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> registry.Model:
    torch.manual_seed(0)
    return write_stem_model(tmp_path_factory.mktemp("models") / "stems")


@pytest.fixture(scope="module")
def stopped(model: registry.Model) -> dict[str, int]:
    """The graphs that an export had written when it was stopped after the second one."""
    done: list[Stage] = []

    def stop(stage: Stage) -> None:
        done.append(stage)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_model(model, stop)
    with pytest.raises(UserError, match=r"holds no bundle\.json"):
        bundle.load(model.folder)
    return written(model.folder)


@pytest.fixture(scope="module")
def stems(model: registry.Model, stopped: dict[str, int]) -> registry.Model:
    """The small model with its bundle, whose export was stopped once: an export takes a minute."""
    export_model(model)
    return model


@pytest.fixture(scope="module")
def modules(stems: registry.Model) -> dict[Stage, StageModule]:
    loaded, vision = load_parts(stems)
    return stage_modules(loaded, vision, example_frames(loaded.config))


def graph(stems: registry.Model, stage: Stage, kind: type[Session]) -> Session:
    return kind(stems.folder / f"{stage}.onnx")


@pytest.mark.parametrize("kind", [OnnxRuntimeSession, OpenVinoSession])
@pytest.mark.parametrize("stage", STAGES)
def test_every_backend_computes_what_torch_computes(
    stems: registry.Model, modules: dict[Stage, StageModule], stage: Stage, kind: type[Session]
) -> None:
    """At the native length, and at another batch and length."""
    module = modules[stage]
    session, reference = graph(stems, stage, kind), TorchSession(module.compute, torch.device("cpu"))
    for tensors in (module.examples, module.other_inputs()):
        inputs = {name: tensor.numpy() for name, tensor in tensors.items()}
        computed, expected = session.run(inputs), reference.run(inputs)
        assert computed.keys() == expected.keys()
        for name, value in expected.items():
            assert computed[name].shape == value.shape
            assert np.abs(computed[name] - value).max() <= MAX_ERROR * np.abs(value).max()


@pytest.mark.parametrize("kind", [OnnxRuntimeSession, OpenVinoSession])
def test_a_graph_is_deterministic(
    stems: registry.Model, modules: dict[Stage, StageModule], kind: type[Session]
) -> None:
    for stage in (Stage.VELOCITY, Stage.DECODER):
        inputs = {name: tensor.numpy() for name, tensor in modules[stage].examples.items()}
        first, second = graph(stems, stage, kind).run(inputs), graph(stems, stage, kind).run(inputs)
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])


def test_weights_are_stored_once(joint: registry.Model, stems: registry.Model) -> None:
    """What a graph holds itself is structure and small constants; the rest it takes from the model's file."""
    own = sum((joint.folder / f"{stage}.onnx").stat().st_size for stage in Stage)
    assert own < 0.1 * (joint.folder / GRAPH_WEIGHTS).stat().st_size
    velocity = onnx.load(stems.folder / "velocity.onnx", load_external_data=False)
    locations = {
        entry.value
        for initializer in velocity.graph.initializer
        for entry in initializer.external_data
        if entry.key == "location"
    }
    assert locations == {"model.safetensors"}


def test_graphs_name_no_place_of_the_machine_that_made_them(stems: registry.Model) -> None:
    for stage in STAGES:
        content = (stems.folder / f"{stage}.onnx").read_bytes()
        assert str(Path(torch.__file__).parent).encode() not in content
        assert str(Path(__file__).parent.parent).encode() not in content


def test_the_bundle_says_what_was_checked(stems: registry.Model) -> None:
    found = bundle.verify(stems.folder)
    assert list(found.graphs) == STAGES
    for exported in found.graphs.values():
        assert 0 <= exported.check.relative_error < MAX_ERROR
    shapes = {tensor.name: tensor.shape for tensor in found.graphs[Stage.VELOCITY].inputs}
    assert shapes["x"] == ("batch", 16, "frames")
    assert found.graphs[Stage.DECODER].outputs[0].shape == ("batch", 1, "512*frames")


def test_an_export_that_was_stopped_is_taken_up(stopped: dict[str, int], stems: registry.Model) -> None:
    assert stopped.keys() == {"conditioner.onnx", "velocity.onnx"}
    assert bundle.verify(stems.folder).graphs.keys() == set(STAGES)
    assert stopped.items() <= written(stems.folder).items()
    assert not (stems.folder / UNFINISHED).exists()


def test_a_model_with_vision_has_a_graph_for_it(joint: registry.Model) -> None:
    """What it computes is compared with torch when it is exported."""
    found = bundle.verify(joint.folder)
    assert found.graphs.keys() == set(Stage)
    with models_in(joint.folder.parent):
        loaded, vision = load_parts(joint)
    shown = stage_modules(loaded, vision, example_frames(loaded.config))[Stage.VISION]
    computed = graph(joint, Stage.VISION, OpenVinoSession).run({k: v.numpy() for k, v in shown.examples.items()})
    for name, value in shown.example_outputs.items():
        assert np.abs(computed[name] - value.numpy()).max() <= MAX_ERROR * np.abs(value.numpy()).max()
