"""The GPU's interfaces as far as a machine without one goes: every name that is used exists, and what lacks is said."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from omniaudio.config import load_config
from omniaudio.errors import ExitCode, UserError
from omniaudio.model_zoo import registry
from trt_engine.compile.compiler import Job, compile_graph
from trt_engine.compile.targets import Flavour, native_architecture
from trt_engine.graphs.sampler_step import OUTPUTS, update_graph, update_profile
from trt_engine.runtime.tensorrt import device
from trt_engine.runtime.tensorrt import session as tensorrt
from trt_engine.runtime.tensorrt.device import Device
from trt_engine.runtime.tensorrt.session import load_engine


def attributes(source: Any, *holders: str) -> set[str]:
    """The attributes that code takes of these expressions."""
    tree = ast.parse(inspect.getsource(source))
    return {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) in holders
    }


def has_gpu() -> bool:
    try:
        native_architecture()
    except UserError:
        return False
    return True


def test_every_name_of_cuda_is_in_its_bindings() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    used = attributes(device._CudaBindings, "self._cuda", "cuda")
    assert {"cudaMalloc", "cudaMallocHost", "cudaStreamBeginCapture", "cudaGraphLaunch", "cudaEventDestroy"} <= used
    assert [name for name in used if not hasattr(runtime, name)] == []
    for kind in ("HostToDevice", "DeviceToHost", "DeviceToDevice"):
        assert hasattr(runtime.cudaMemcpyKind, f"cudaMemcpy{kind}")
    assert hasattr(runtime.cudaStreamCaptureMode, "cudaStreamCaptureModeRelaxed")
    assert {"name", "major", "minor"} <= set(dir(runtime.cudaDeviceProp))


def test_every_name_of_tensorrt_is_in_tensorrt_rtx() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    used = {
        trt: attributes(tensorrt, "trt", "self._trt") - {"__version__"},
        trt.IExecutionContext: attributes(tensorrt, "self._context"),
        trt.ICudaEngine: attributes(tensorrt, "self._engine"),
        trt.IRuntimeConfig: attributes(tensorrt, "config"),
        trt.IRuntimeCache: attributes(tensorrt, "self._cache"),
        trt.Runtime: attributes(tensorrt, "runtime"),
        trt.CudaGraphStrategy: attributes(tensorrt, "strategies"),
        trt.ExecutionContextAllocationStrategy: attributes(tensorrt, "trt.ExecutionContextAllocationStrategy"),
    }
    for holder, names in used.items():
        assert names
        assert [name for name in names if not hasattr(holder, name)] == []


def test_what_tensorrt_says_leaves_standard_output_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There a program reads answers (`--json`), and TensorRT's own logger writes there."""
    trt = pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr(tensorrt, "library", lambda flavour: trt)
    engine = tmp_path / "no.engine"
    engine.write_bytes(b"RIFF" * 9999)
    somewhere: Any = SimpleNamespace(name="a GPU", stream=0)
    with pytest.raises(UserError, match="cannot load"):
        tensorrt.TensorRtSession(engine, Flavour.TENSORRT, somewhere)
    assert capfd.readouterr().out == ""
    assert "header" in caplog.text


class Context:
    """An execution context that takes rows up to a number, and says which it was told last."""

    rows = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.rows = shape[0]
        return shape[0] <= 4

    def infer_shapes(self) -> list[str]:
        return []

    def update_device_memory_size_for_shapes(self) -> int:
        return 100 * self.rows

    def set_device_memory(self, address: int, nbytes: int) -> None:
        assert nbytes >= 100 * self.rows

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.rows,)


def test_shapes_are_set_afresh_after_a_failure() -> None:
    """Refused shapes, or too little memory for them, do not leave the session believing in the shapes before."""
    context = Context()
    session = object.__new__(tensorrt.TensorRtSession)
    room = {"left": 2}

    def empty(shape: tuple[int, ...], dtype: Any) -> Any:
        if room["left"] == 0:
            raise RuntimeError("cudaMalloc: out of memory")
        room["left"] -= 1
        return SimpleNamespace(address=256, nbytes=shape[0])

    session.__dict__ |= {"_context": context, "_device": SimpleNamespace(empty=empty), "_shapes": {}, "_scratch": None}
    session.inputs, session.outputs = ("x",), ("y",)
    assert session.shape({"x": (2,)}) == {"y": (2,)}
    with pytest.raises(ValueError, match="does not take x"):
        session.shape({"x": (5,)})
    assert session.shape({"x": (2,)}) == {"y": (2,)}
    room["left"] = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        session.shape({"x": (4,)})
    room["left"] = 1
    assert session.shape({"x": (2,)}) == {"y": (2,)}
    assert session._scratch is not None


def test_memory_is_freed_when_what_reads_it_is_done() -> None:
    """cudaFree alone only may wait (its documentation), and inputs are let go as soon as a run is enqueued."""
    pytest.importorskip("cuda.bindings.runtime")
    calls: list[tuple[str, int]] = []
    driver = object.__new__(device._CudaBindings)
    driver.stream = 7
    driver._cuda = SimpleNamespace(
        cudaStreamSynchronize=lambda stream: calls.append(("wait", stream)),
        cudaFree=lambda address: calls.append(("free", address)),
    )
    driver.free(256)
    assert calls == [("wait", 7), ("free", 256)]


@pytest.mark.parametrize("status", ["cudaSuccess", "cudaErrorStreamCaptureInvalidated"])
def test_a_capture_that_fails_says_why_and_is_closed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Why is what was launched, not that the capture is spoiled by it."""
    runtime = pytest.importorskip("cuda.bindings.runtime")
    calls: list[str] = []

    def begin(stream: int, mode: Any) -> tuple[Any]:
        return (runtime.cudaError_t.cudaSuccess,)

    def end(stream: int) -> tuple[Any, int]:
        calls.append("end")
        return getattr(runtime.cudaError_t, status), 5

    def refused() -> None:
        raise RuntimeError("the engine could not be launched")

    monkeypatch.setattr(runtime, "cudaStreamBeginCapture", begin)
    monkeypatch.setattr(runtime, "cudaStreamEndCapture", end)
    monkeypatch.setattr(runtime, "cudaGraphDestroy", lambda graph: calls.append(f"destroy {graph}"))
    driver = object.__new__(device._CudaBindings)
    driver._cuda, driver.stream = runtime, 7
    with pytest.raises(RuntimeError, match="could not be launched"):
        driver.capture(refused)
    assert calls == (["end", "destroy 5"] if status == "cudaSuccess" else ["end"])


def test_pycuda_leaves_no_context_behind(tmp_path: Path) -> None:
    """With one on its stack it aborts the process at its end."""
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").touch()
    (tmp_path / "pycuda" / "driver.py").write_text(
        """
import atexit
stack = []
atexit.register(lambda: print("left:", len(stack)))
class Stream:
    handle = 1
class Context:
    def push(self): stack.append(self)
    def pop(self): stack.pop()
class Device:
    def __init__(self, number): pass
    def retain_primary_context(self): return Context()
def init(): pass
""",
        "utf-8",
    )
    program = "from trt_engine.runtime.tensorrt.device import _PyCuda; _PyCuda()"
    program += "; import pycuda.driver as d; print(len(d.stack))"
    paths = os.pathsep.join([str(tmp_path), str(Path(device.__file__).parents[3])])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "left:", "0"]


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_without_a_driver_there_is_a_message() -> None:
    with pytest.raises(UserError, match="install NVIDIA's driver") as raised:
        Device()
    assert raised.value.code is ExitCode.NO_BACKEND


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
@pytest.mark.parametrize("damage", ["whole", "cut short", "empty", "another file"])
def test_an_engine_that_does_not_load_is_a_message(model: registry.Model, tmp_path: Path, damage: str) -> None:
    """A whole one too: without a driver no engine loads."""
    trt = pytest.importorskip("tensorrt_rtx")
    config = load_config(model.config)
    graph, engine = tmp_path / "update.onnx", tmp_path / "update.engine"
    onnx.save(update_graph(config.latent_channels, config.latent_frames, guided=True), graph)
    compile_graph(Job(Flavour.TENSORRT_RTX, graph, (89,), update_profile(config, guided=True), OUTPUTS), engine)
    whole = engine.read_bytes()
    content = {"whole": whole, "cut short": whole[: len(whole) // 2], "empty": b"", "another file": b"RIFF" * 999}[
        damage
    ]
    runtime = trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR))
    with pytest.raises(UserError, match=r"cannot load .*update\.engine.*: check that an NVIDIA driver") as raised:
        load_engine(trt, runtime, content, engine, Flavour.TENSORRT_RTX)
    assert raised.value.code is ExitCode.NO_BACKEND
