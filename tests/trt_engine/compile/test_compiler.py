"""One graph to one engine by TensorRT-RTX, and what is known of TensorRT without it."""

import re
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from omniaudio.errors import UserError
from trt_engine.compile import compiler
from trt_engine.compile.bundle import Sizes
from trt_engine.compile.compiler import Job
from trt_engine.compile.targets import Flavour

trt = pytest.importorskip("tensorrt_rtx")


def test_a_tensorrt_whose_libraries_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NVIDIA's bindings are without the package of the libraries."""
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvonnxparser.so.11: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(UserError, match=r"libnvonnxparser\.so\.11.*install NVIDIA's packages"):
        compiler.library(Flavour.TENSORRT)


def relu(path: Path, output: str = "y") -> None:
    """A graph of one operation."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", output)]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], [output])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def job(graph: Path) -> Job:
    sizes = Sizes(minimum=(2,), optimum=(2,), maximum=(2,))
    return Job(Flavour.TENSORRT_RTX, graph, (89,), {"x": sizes}, ("y",))


def test_what_the_compiler_refuses_is_told(tmp_path: Path) -> None:
    relu(tmp_path / "good.onnx")
    compiler.compile_apart(job(tmp_path / "good.onnx"), tmp_path / "engine")
    assert (tmp_path / "engine").stat().st_size > 0
    relu(tmp_path / "other.onnx", output="z")
    with pytest.raises(compiler.CompileError, match="to \\['z'\\]"):
        compiler.compile_apart(job(tmp_path / "other.onnx"), tmp_path / "none")
    (tmp_path / "no.onnx").write_bytes(b"no graph")
    with pytest.raises(compiler.CompileError):
        compiler.compile_apart(job(tmp_path / "no.onnx"), tmp_path / "none")
    with pytest.raises(OSError, match="No such file"):
        compiler.compile_apart(job(tmp_path / "good.onnx"), tmp_path / "nowhere" / "engine")
    assert not (tmp_path / "none").exists()


def test_only_two_lines_of_the_compiler_are_tensorrt_rtx_alone() -> None:
    """Its names are checked against the one bindings that are here; those of TensorRT itself have not been run."""
    source = Path(compiler.__file__).read_text("utf-8")
    for name in set(re.findall(r"trt\.(\w+)", source)):
        assert hasattr(trt, name), name
    for owner, variable in (
        (trt.Builder, "builder"),
        (trt.INetworkDefinition, "network"),
        (trt.OnnxParser, "parser"),
        (trt.IBuilderConfig, "config"),
        (trt.IOptimizationProfile, "profile"),
    ):
        used = set(re.findall(rf"\b{variable}\.(\w+)", source)) - {"items"}
        assert used, variable
        assert not {name for name in used if not hasattr(owner, name)}
    alone = [line for line in source.splitlines() if "compute_capabilit" in line or "ComputeCapability" in line]
    assert len(alone) == 2
