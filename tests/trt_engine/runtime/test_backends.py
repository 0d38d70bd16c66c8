"""What `omniaudio backends` says of the back-ends that are here, that are not, and that are broken; and one's own."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from omniaudio.errors import UserError
from omniaudio.model_zoo import registry
from trt_engine.runtime import backends
from trt_engine.runtime.backends import named, state
from trt_engine.runtime.open import open_pipeline
from trt_engine.runtime.tensorrt import device

RUN = [sys.executable, "-m", "omniaudio.cli", "backends"]
NAMES = ("tensorrt", "tensorrt-rtx", "openvino", "onnxruntime", "torch")
HEAVY = ("cuda", "numba", "onnx", "onnxruntime", "openvino", "pycuda", "tensorrt", "tensorrt_rtx", "torch")

OWN = """
from dataclasses import replace

from trt_engine.runtime.host import open_graphs
from trt_engine.runtime.onnxruntime import BACKEND as ORIGINAL
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession


def open_model(model):
    return open_graphs(model, BACKEND, lambda stage, graph: OnnxRuntimeSession(graph))


BACKEND = replace(ORIGINAL, name="studio", label="Studio", distributions=("numpy",), open=open_model)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a distribution in it, as pip leaves one, that brings a back-end."""
    (tmp_path / "studio_backend.py").write_text(OWN)
    info = tmp_path / "studio_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: studio-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{backends.GROUP}]\nstudio = studio_backend:BACKEND\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "studio_backend", raising=False)
    return tmp_path


def test_knowing_the_back_ends_imports_none_of_their_libraries() -> None:
    program = "import sys; from trt_engine.runtime.backends import backends; print(*backends()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    names, modules = (line.split() for line in done.stdout.splitlines())
    assert tuple(names[: len(NAMES)]) == NAMES
    assert not {module.partition(".")[0] for module in modules} & set(HEAVY)


@pytest.mark.slow
def test_the_table_names_every_back_end() -> None:
    done = subprocess.run(RUN, capture_output=True, text=True, timeout=120, check=True)
    for name in NAMES:
        assert name in done.stdout


@pytest.mark.slow
def test_the_list_is_json_and_says_what_helps(installed: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([*RUN, "--json"], capture_output=True, text=True, timeout=120, check=True, env=environment)
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert tuple(found) == (*NAMES, "studio")
    assert found["onnxruntime"]["available"]
    assert found["onnxruntime"]["device"] == found["studio"]["device"] == "CPU"
    for one in found.values():
        assert one["devices"]
        assert one["available"] == (one["reason"] is None)
        assert one["available"] == (one["device"] is not None)


def test_what_is_not_installed_says_how_to_get_it() -> None:
    for spec in backends.backends().values():
        found = state(replace(spec, module="nobody_has_this"))
        assert not found.available
        assert found.reason is not None
        assert "pip install" in found.reason


@pytest.mark.parametrize("name", ["tensorrt", "openvino", "torch"])
def test_a_package_that_lacks_a_library_is_a_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As TensorRT is without the wheel of its libraries."""
    spec = backends.backends()[name]
    (tmp_path / f"{spec.module}.py").write_text("raise ImportError('libsomething.so.11: cannot open')")
    for module in [module for module in sys.modules if module.partition(".")[0] == spec.module]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    found = state(spec)
    assert not found.available
    assert found.reason is not None
    assert "libsomething.so.11: cannot open" in found.reason
    assert "install" in found.reason


def test_a_card_that_tensorrt_rtx_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    spec = backends.backends()["tensorrt-rtx"]
    monkeypatch.setattr(device.Device, "__init__", lambda self: vars(self).update(name="H200", architecture=90))
    found = state(spec)
    assert not found.available
    assert found.reason == (
        "H200 (Hopper) is not among the cards of TensorRT-RTX: choose --backend tensorrt, or another one."
    )
    monkeypatch.setattr(device.Device, "__init__", lambda self: vars(self).update(name="RTX 4090", architecture=89))
    assert state(spec).device == "RTX 4090, architecture 89"


def test_a_package_brings_a_back_end(installed: Path, model: registry.Model) -> None:
    opened = open_pipeline(model, "studio")
    assert opened.backend == "studio"
    assert list(opened.versions) == ["numpy"]
    with pytest.raises(UserError, match=r"choose auto or one of tensorrt, .*torch, studio"):
        named("nobody")


@pytest.mark.parametrize(
    ("content", "said"),
    [("import nobody_has_this", "cannot be loaded: No module named"), ("BACKEND = 3", "is not the BackendSpec")],
)
def test_a_package_whose_back_end_is_broken_keeps_nobody_from_working(
    installed: Path, content: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    (installed / "studio_backend.py").write_text(content)
    assert tuple(backends.backends()) == NAMES
    assert said in caplog.text


def test_a_program_adds_a_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_registered", {})
    own = replace(named("onnxruntime"), name="own")
    backends.register(own)
    assert named("own") is own
    with pytest.raises(ValueError, match="'own' already"):
        backends.register(own)
