"""Graphs that share the model's own weights file, in every back-end."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from omniaudio import zoo
from omniaudio.errors import ExitCode, UserError
from trt_engine import bundle
from trt_engine.bundle import BUNDLE_FILE, Stage
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.openvino import OpenVinoSession
from trt_engine.runtime.session import Session
from trt_engine.runtime.torch import StageModule, TorchSession, example_pictures, load_parts, stage_modules

LARGEST_ERROR = 1e-3


@pytest.fixture(scope="module")
def modules(model: zoo.Model) -> dict[Stage, StageModule]:
    loaded, vision = load_parts(model)
    return stage_modules(loaded, vision, example_pictures(loaded.config))


def graph(model: zoo.Model, stage: Stage, kind: type[Session]) -> Session:
    return kind(model.folder / f"{stage}.onnx")


@pytest.mark.parametrize("kind", [OnnxRuntimeSession, OpenVinoSession])
@pytest.mark.parametrize("stage", list(Stage))
def test_every_backend_computes_what_torch_computes(
    model: zoo.Model, modules: dict[Stage, StageModule], stage: Stage, kind: type[Session]
) -> None:
    """At the native length, and at another batch and length."""
    module = modules[stage]
    session, reference = graph(model, stage, kind), TorchSession(module, torch.device("cpu"))
    for tensors in (module.examples, module.other_inputs()):
        inputs = {name: tensor.numpy() for name, tensor in tensors.items()}
        computed, expected = session.run(inputs), reference.run(inputs)
        assert computed.keys() == expected.keys()
        for name, value in expected.items():
            assert computed[name].shape == value.shape
            assert np.abs(computed[name] - value).max() <= LARGEST_ERROR * np.abs(value).max()


@pytest.mark.parametrize("kind", [OnnxRuntimeSession, OpenVinoSession])
def test_a_graph_gives_the_same_bits_again(
    model: zoo.Model, modules: dict[Stage, StageModule], kind: type[Session]
) -> None:
    for stage in (Stage.VELOCITY, Stage.DECODER):
        inputs = {name: tensor.numpy() for name, tensor in modules[stage].examples.items()}
        first, second = graph(model, stage, kind).run(inputs), graph(model, stage, kind).run(inputs)
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])


def test_weights_are_stored_once(model: zoo.Model) -> None:
    """What a graph holds itself is structure and small constants; the rest it takes from the model's file."""
    own = sum((model.folder / f"{stage}.onnx").stat().st_size for stage in Stage)
    assert own < 0.1 * sum((model.folder / name).stat().st_size for name in ("model.safetensors", "vision.safetensors"))
    velocity = onnx.load(model.folder / "velocity.onnx", load_external_data=False)
    locations = {
        entry.value
        for initializer in velocity.graph.initializer
        for entry in initializer.external_data
        if entry.key == "location"
    }
    assert locations == {"model.safetensors"}


def test_graphs_name_no_place_of_the_machine_that_made_them(model: zoo.Model) -> None:
    for stage in Stage:
        content = (model.folder / f"{stage}.onnx").read_bytes()
        assert str(Path(torch.__file__).parent).encode() not in content
        assert str(Path(__file__).parent.parent).encode() not in content


def test_the_bundle_says_what_was_checked(model: zoo.Model) -> None:
    found = bundle.verify(model.folder)
    assert set(found.graphs) == set(Stage)
    for exported in found.graphs.values():
        assert 0 <= exported.check.relative_error < LARGEST_ERROR
    shapes = {tensor.name: tensor.shape for tensor in found.graphs[Stage.VELOCITY].inputs}
    assert shapes["x"] == ("batch", 28, "frames")
    assert found.graphs[Stage.DECODER].outputs[0].shape == ("batch", 4, "2048*frames")


@pytest.fixture
def copy(model: zoo.Model, tmp_path: Path) -> Path:
    shutil.copytree(model.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "decoder.onnx").unlink()
    with pytest.raises(UserError, match=r"decoder\.onnx is missing") as raised:
        bundle.load(copy)
    assert raised.value.code is ExitCode.NO_MODEL


def test_a_file_that_was_cut_is_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"model\.safetensors has \d+ bytes instead of"):
        bundle.load(copy)


def test_a_changed_byte_is_found_by_the_hash(copy: Path) -> None:
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    bundle.load(copy)
    with pytest.raises(UserError, match=r"model\.safetensors is not what was written"):
        bundle.verify(copy)


@pytest.mark.parametrize("content", ["", "{", '{"format": 2}'])
def test_a_bundle_file_that_is_half_written_or_newer(copy: Path, content: str) -> None:
    (copy / BUNDLE_FILE).write_text(content)
    with pytest.raises(UserError, match="damaged or of another version"):
        bundle.load(copy)


def test_a_folder_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="omniaudio export"):
        bundle.load(tmp_path)
