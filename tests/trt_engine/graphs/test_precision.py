"""Lowered graphs: what is rounded and what is not, how far off the draft is by it, and that TensorRT-RTX takes them."""

import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from omniaudio.config import load_config
from omniaudio.model_zoo import registry
from trt_engine.bundling.calibration import Walk, amplitudes, calibrate, every_kind, walk
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Stage
from trt_engine.compile.targets import Precision
from trt_engine.graphs.emulation import emulate
from trt_engine.graphs.precision import MAX_E4M3, Amplitudes, lower, write_lowered
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.session import Array, Session

LOW = {Precision.FP16: "float16", Precision.BF16: "bfloat16", Precision.FP8: "float16"}
ALWAYS_FLOAT32 = {"Sin", "Cos", "Exp", "Log", "Pow", "Sqrt", "Div", "LayerNormalization", "ReduceSum", "ReduceMean"}


STAGES = [
    *(("model", stage) for stage in Stage if stage is not Stage.VISION),
    ("joint", Stage.VISION),
    ("joint", Stage.DECODER),
]
"""The draft's stages, and those of a model of the released form that are made of other operations."""


def made(model: registry.Model, kinds: slice, seed: int) -> Walk:
    """One window of the draft's for each of some kinds, in float32."""
    config = load_config(model.folder)
    features = {name: value[kinds] for name, value in every_kind(config).items()}
    return walk(sessions_of(model), config, features, seed)


@pytest.fixture(scope="module")
def generated(model: registry.Model) -> Walk:
    return made(model, slice(2), seed=5)


@pytest.fixture(scope="module")
def calibrated(model: registry.Model) -> Amplitudes:
    """By other kinds and other noise; a build takes every kind."""
    return amplitudes(graph_of(model, Stage.VELOCITY), made(model, slice(2, 6), seed=6).inputs)


@pytest.fixture
def chosen(request: pytest.FixtureRequest, which: str) -> registry.Model:
    found: registry.Model = request.getfixturevalue(which)
    return found


def sessions_of(model: registry.Model) -> dict[Stage, Session]:
    graphs = bundle.load(model.folder).graphs
    return {stage: OnnxRuntimeSession(model.folder / graph.file) for stage, graph in graphs.items()}


def graph_of(model: registry.Model, stage: Stage) -> Path:
    return model.folder / bundle.load(model.folder).graphs[stage].file


def emulated(model: ir.Model, folder: Path) -> OnnxRuntimeSession:
    """A lowered graph, ready to run."""
    emulate(model)
    ir.save(model, folder / "emulated.onnx", external_data="emulated.data")
    return OnnxRuntimeSession(folder / "emulated.onnx")


def small_graph(folder: Path, nodes: list[onnx.NodeProto], **constants: Array) -> Path:
    """From `x` (rows, 8) to `y`, both float32."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", None])],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), folder / "small.onnx")
    return folder / "small.onnx"


def numbers(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


@pytest.mark.slow
def test_a_model_without_vision_is_calibrated_with_every_kind(model: registry.Model, calibrated: Amplitudes) -> None:
    kinds = every_kind(load_config(model.folder))["kinds"]
    np.testing.assert_array_equal(kinds.sum((0, 2)), np.full(kinds.shape[1], kinds.shape[2]))
    found = calibrate(model.folder, [])
    assert found.keys() == calibrated.keys()
    assert all(0.5 * calibrated[name] < found[name] for name in found)


def test_a_model_with_vision_is_calibrated_with_panoramas(joint: registry.Model) -> None:
    rows, columns = np.mgrid[0:256, 0:512]
    panorama = np.stack([rows, columns // 2, 255 - rows], axis=-1).astype(np.uint8)
    found = calibrate(joint.folder, [panorama])
    assert found
    assert all(0 < value < 1e4 for value in found.values())


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(("which", "stage"), STAGES)
def test_lowered_graph_is_valid_and_keeps_its_interface(
    chosen: registry.Model, calibrated: Amplitudes, tmp_path: Path, stage: Stage, precision: Precision
) -> None:
    source, target = graph_of(chosen, stage), tmp_path / "lowered.onnx"
    write_lowered(source, target, precision, stage, calibrated)
    onnx.checker.check_model(str(target), full_check=True)
    before, after = (onnx.load(path, load_external_data=False).graph for path in (source, target))
    for old, new in ((before.input, after.input), (before.output, after.output)):
        assert [value.name for value in old] == [value.name for value in new]
        types = [[value.type.tensor_type.elem_type for value in values] for values in (old, new)]
        assert types[0] == types[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lowered.onnx", "lowered.onnx.data"]


@pytest.mark.parametrize("precision", LOW)
@pytest.mark.parametrize(("which", "stage"), STAGES)
def test_what_loses_by_rounding_stays_in_float32(chosen: registry.Model, stage: Stage, precision: Precision) -> None:
    lowered = ir.load(graph_of(chosen, stage))
    lower(lowered, precision, stage)
    for node in lowered.graph:
        if node.op_type in ALWAYS_FLOAT32 and node.inputs[0] is not None:
            assert node.inputs[0].dtype in {ir.DataType.FLOAT, ir.DataType.INT64}, node.name


@pytest.mark.parametrize("precision", LOW)
def test_products_of_the_transformer_are_low(model: registry.Model, precision: Precision) -> None:
    lowered = ir.load(graph_of(model, Stage.VELOCITY))
    lower(lowered, precision, Stage.VELOCITY)
    products = [node for node in lowered.graph if node.op_type in {"MatMul", "Gemm", "Conv"}]
    assert products
    types = {value.dtype.name for node in products for value in node.inputs if value is not None and value.dtype}
    assert types == {LOW[precision].upper()}


@pytest.mark.parametrize(
    ("precision", "least"), [(Precision.FP32, 0.999999), (Precision.FP16, 0.9999), (Precision.BF16, 0.998)]
)
def test_velocity_is_near(
    model: registry.Model, generated: Walk, tmp_path: Path, precision: Precision, least: float
) -> None:
    lowered = ir.load(graph_of(model, Stage.VELOCITY))
    lower(lowered, precision, Stage.VELOCITY)
    assert worst_cosine(emulated(lowered, tmp_path), generated) > least


def test_fp8_is_near_and_is_another_than_fp16(
    model: registry.Model, generated: Walk, calibrated: Amplitudes, tmp_path: Path
) -> None:
    lowered = ir.load(graph_of(model, Stage.VELOCITY))
    lower(lowered, Precision.FP8, Stage.VELOCITY, calibrated)
    quantised = [node for node in lowered.graph if node.op_type == "DequantizeLinear"]
    assert len(quantised) == 2 * len(calibrated)  # each operand once, and the weights that it meets
    assert 0.9 < worst_cosine(emulated(lowered, tmp_path), generated) < 0.9999


def worst_cosine(session: OnnxRuntimeSession, reference: Walk) -> float:
    cosines = []
    for inputs, wanted in zip(reference.inputs, reference.velocities, strict=True):
        got = session.run(inputs)["velocity"].ravel().astype(float)
        exact = wanted.ravel().astype(float)
        cosines.append(got @ exact / np.sqrt((got @ got) * (exact @ exact)))
    return float(min(cosines))


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_emulation_rounds_every_value(tmp_path: Path, precision: Precision) -> None:
    weights, bias, x = numbers(8, 16), numbers(16), numbers(5, 8)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])]
    model = ir.load(small_graph(tmp_path, nodes, w=weights, b=bias))
    lower(model, precision, Stage.VISION)
    got = emulated(model, tmp_path).run({"x": x})["y"]

    low = ir.DataType[LOW[precision].upper()].numpy()

    def rounded(values: Array) -> Array:
        return values.astype(low).astype(np.float32)

    wanted = rounded(rounded(rounded(x) @ rounded(weights)) + rounded(bias))
    np.testing.assert_array_equal(got, wanted)


def test_fp8_is_the_arithmetic_of_e4m3(tmp_path: Path) -> None:
    first, second, third = numbers(8, 8), 3 * numbers(8, 8), numbers(8, 8)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"]),
        helper.make_node("MatMul", ["h", "second"], ["i"]),
        helper.make_node("MatMul", ["i", "third"], ["y"]),
    ]
    graph = small_graph(tmp_path, nodes, first=first, second=second, third=third)
    shown = [{"x": numbers(5, 8)}, {"x": 2 * numbers(5, 8)}]
    found = amplitudes(graph, shown)
    hidden = 2 * numbers(5, 8) @ first
    assert found == {"h": pytest.approx(np.abs(hidden).max(), rel=1e-6)}

    model = ir.load(graph)
    lower(model, Precision.FP8, Stage.VELOCITY, found)
    got = emulated(model, tmp_path).run(shown[1])["y"]

    def half(values: Array) -> Array:
        return values.astype(np.float16).astype(np.float32)

    def quantised(values: Array, largest: Array) -> Array:
        step = half(largest / MAX_E4M3)
        return (values / step).astype(ir.DataType.FLOAT8E4M3FN.numpy()).astype(np.float32) * step

    read = half(half(shown[1]["x"]) @ half(first))
    product = quantised(read, np.abs(hidden).max()) @ quantised(second, np.abs(second).max(0))
    largest = np.abs(got).max()
    np.testing.assert_allclose(got, product @ third, rtol=0, atol=3e-3 * largest)  # what fp16 rounds beside
    assert np.abs(got - hidden @ second @ third).max() > 3e-2 * largest


def test_what_fp16_cannot_hold_stays_in_float32(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Mul", ["h", "large"], ["i"]),
        helper.make_node("Max", ["i", "tiny"], ["j"]),
        helper.make_node("Div", ["j", "large"], ["y"]),
    ]
    graph = small_graph(tmp_path, nodes, w=np.eye(8), large=1e6, tiny=1e-9)
    model = ir.load(graph)
    lower(model, Precision.FP16, Stage.VISION)
    got = emulated(model, tmp_path).run({"x": np.full((1, 8), -1, np.float32)})["y"]
    np.testing.assert_allclose(got, 1e-15, rtol=1e-3)


def test_one_constant_is_in_memory_at_a_time(tmp_path: Path) -> None:
    count, size = 24, 1024
    names = [f"w{index}" for index in range(count)]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [f"h{index}", f"w{index}"], [f"h{index + 1}"]) for index in range(count)],
        "deep",
        [helper.make_tensor_value_info("h0", TensorProto.FLOAT, ["rows", size])],
        [helper.make_tensor_value_info(f"h{count}", TensorProto.FLOAT, ["rows", size])],
        [numpy_helper.from_array(numbers(size, size), name) for name in names],
    )
    source = tmp_path / "deep.onnx"
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(proto, source, save_as_external_data=True, location="deep.data")
    del graph, proto
    tracemalloc.start()
    write_lowered(source, tmp_path / "lowered.onnx", Precision.FP16, Stage.VELOCITY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "lowered.onnx.data").stat().st_size == 2 * count * size**2
    assert peak < 8 * 4 * size**2  # of 24 matrices


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "architectures"),
    [(Precision.FP16, (75, 86, 89, 120)), (Precision.BF16, (86, 89, 120)), (Precision.FP8, (89, 120))],
)
def test_tensorrt_rtx_compiles_the_velocity(
    model: registry.Model, calibrated: Amplitudes, tmp_path: Path, precision: Precision, architectures: tuple[int, ...]
) -> None:
    assert compiled(model, calibrated, tmp_path, precision, architectures) > 0


def test_tensorrt_rtx_refuses_fp8_where_there_is_none(
    model: registry.Model, calibrated: Amplitudes, tmp_path: Path
) -> None:
    """So the quantised products did reach the compiler as fp8."""
    from trt_engine.compile.compiler import CompileError  # noqa: PLC0415 - installed or not

    with pytest.raises(CompileError):
        compiled(model, calibrated, tmp_path, Precision.FP8, (86,))


def compiled(
    model: registry.Model, calibrated: Amplitudes, folder: Path, precision: Precision, architectures: tuple[int, ...]
) -> int:
    """Bytes of the velocity's engine."""
    pytest.importorskip("tensorrt_rtx")
    from trt_engine.compile.compiler import Job, compile_graph  # noqa: PLC0415
    from trt_engine.compile.profiles import Limits, profile  # noqa: PLC0415
    from trt_engine.compile.targets import Flavour  # noqa: PLC0415

    lowered, engine = folder / "velocity.onnx", folder / "velocity.engine"
    write_lowered(graph_of(model, Stage.VELOCITY), lowered, precision, Stage.VELOCITY, calibrated)
    graph = bundle.load(model.folder).graphs[Stage.VELOCITY]
    sizes = profile(Stage.VELOCITY, graph, load_config(model.folder), Limits())
    outputs = tuple(output.name for output in graph.outputs)
    compile_graph(Job(Flavour.TENSORRT_RTX, lowered, architectures, sizes, outputs), engine)
    return engine.stat().st_size
