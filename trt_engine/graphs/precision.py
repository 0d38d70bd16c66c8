"""From a float32 graph to one in fp16, bf16 or fp8, with every type written into the graph.

TensorRT 11 and TensorRT-RTX are strongly typed: what is computed in which type is what the graph says. So the policy is
here: products in the low type, and what would lose by it in float32, with a `Cast` where one meets the other (mixed
precision, Micikevicius et al. 2018, arXiv 1710.03740). fp8 is fp16 with the products of weights in E4M3, between
`QuantizeLinear` and `DequantizeLinear` (Micikevicius et al. 2022, arXiv 2209.05433).

Inputs and outputs of a graph keep their types, so a lowered graph takes the place of its original.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, ShapeInferencePass

from omniaudio.files import replacing
from trt_engine.compile.bundle import Stage
from trt_engine.compile.targets import Precision
from trt_engine.graphs.external_data import INLINE_BYTES

Amplitudes = Mapping[str, float]
"""The largest magnitude of values, by their names in the float32 graph: those that products of weights read."""

MAX_E4M3 = 448.0
OPSET = 22
"""The first in which convolutions know bfloat16. The exporter's operations, of an older one, mean the same in it."""

_LOW = {
    Precision.FP16: ir.DataType.FLOAT16,
    Precision.BF16: ir.DataType.BFLOAT16,
    Precision.FP8: ir.DataType.FLOAT16,
}
_MAX = {ir.DataType.FLOAT16: 65504.0, ir.DataType.BFLOAT16: float(np.finfo(np.float32).max)}
_E4M3 = ir.DataType.FLOAT8E4M3FN

_PRODUCTS = {"MatMul", "Gemm", "Conv", "ConvTranspose"}
_MATRICES = {"MatMul", "Gemm"}
"""Products of matrices."""
MOVING = {
    *("Reshape", "Transpose", "Slice", "Concat", "Split", "Squeeze", "Unsqueeze", "Expand", "Gather", "GatherND"),
    *("Pad", "Tile", "Identity", "Flatten"),
}
_ELEMENTWISE = {
    *("Add", "Sub", "Mul", "Neg", "Sigmoid", "Tanh", "Relu", "Clip", "Max", "Min", "Where", "Erf", "Gelu"),
    "Softmax",  # between two products, so that all three become one kernel, which has its sums in float32
}
"""These and what only moves values are as low as what they read. All other operations, such as norms, reductions, Sin,
Exp and Div, are computed in float32."""
_RESIDUAL_STAGES = {Stage.VISION, Stage.VELOCITY}
"""Stages where the sum of two computed values is in float32: the residual stream, to which every layer adds a little,
and what is left of the latents where t divides it. An Oobleck's are as low as its convolutions, since it is memory that
it waits for."""
_EXACT_STAGES = {
    Stage.CONDITIONER,  # it runs once a window: rounding would gain nothing
    Stage.DECODER,  # the draft's are Fourier and mel transforms of powers from 1e-8 to 1e2
    Stage.ENCODER,  # as the decoder's
}
"""Stages that multiply matrices in float32. Their convolutions are low: those are of networks, as Oobleck's."""


def write_lowered(
    source: Path, target: Path, precision: Precision, stage: Stage, amplitudes: Amplitudes | None = None
) -> None:
    """Lower the graph in a file. `target` and its constants, `target` + `.data`, stand alone.

    One constant is in memory at a time, however large the graph is.

    Args:
        source: a float32 graph of `trt_engine.bundling.export`.
        target: where the lowered graph goes; the folder exists.
        precision: as in `lower`.
        stage: as in `lower`.
        amplitudes: as in `lower`.
    """
    model = ir.load(source)
    lower(model, precision, stage, amplitudes)
    with replacing(target) as partial:
        data = f"{target.name}.data"
        ir.save(model, partial, format="protobuf", external_data=data, size_threshold_bytes=INLINE_BYTES)


def lower(model: ir.Model, precision: Precision, stage: Stage, amplitudes: Amplitudes | None = None) -> None:
    """Rewrite a float32 graph in place.

    Args:
        model: of `trt_engine.bundling.export`: one graph without functions and subgraphs. The files that its
            constants lie in are read when the model is saved.
        precision: `FP32` only folds the constants.
        stage: what the graph is; some stages stay in float32 in every precision.
        amplitudes: of `trt_engine.bundling.calibration`, for `FP8`: products whose operands are in it are quantised.
    """
    _fold(model.graph)
    model.opset_imports[""] = OPSET
    if precision is not Precision.FP32:
        ShapeInferencePass()(model)
        _Lowering(model.graph, precision, stage, amplitudes or {}).run()
    RemoveUnusedNodesPass()(model)


class _Lowering:
    """One pass over a graph in the order of computation: each node is given its type, and its inputs follow."""

    def __init__(self, graph: ir.Graph, precision: Precision, stage: Stage, amplitudes: Amplitudes) -> None:
        self._graph = graph
        self._stage = stage
        self._low = _LOW[precision]
        self._amplitudes = amplitudes if precision is Precision.FP8 else {}
        self._versions: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
        self._survives: dict[ir.Value, bool] = {}

    def run(self) -> None:
        for node in tuple(self._graph):
            low = self._is_low(node)
            if low and node.op_type in _MATRICES:
                self._quantise(node)
            self._set_type(node, self._low if low else ir.DataType.FLOAT)
        for index, value in enumerate(self._graph.outputs):
            if value.dtype is self._low:
                name, value.name = value.name, f"{value.name}.low"
                self._graph.outputs[index] = self._as(value, ir.DataType.FLOAT)
                self._graph.outputs[index].name = name

    def _is_low(self, node: ir.Node) -> bool:
        floats = [value for value in node.inputs if value is not None and self._is_float(value)]
        computed = [value for value in floats if not value.is_initializer()]
        if not all(self._fits(value) for value in floats if value.is_initializer()):
            return False
        if node.op_type in _MATRICES and self._stage in _EXACT_STAGES:
            return False
        if node.op_type in _PRODUCTS:
            # Depthwise convolutions are no work for tensor cores, and suffer most from bfloat16's 8 bits.
            return self._low is not ir.DataType.BFLOAT16 or node.attributes.get_int("group", 1) == 1
        if node.op_type in {"Add", "Sub"} and len(computed) > 1 and self._stage in _RESIDUAL_STAGES:
            return False
        return node.op_type in MOVING | _ELEMENTWISE and any(value.dtype is self._low for value in computed)

    def _is_float(self, value: ir.Value) -> bool:
        return value.dtype in {ir.DataType.FLOAT, self._low}

    def _fits(self, constant: ir.Value) -> bool:
        """Whether a constant survives: nothing in it overflows, and a single number, such as what keeps a division
        finite, does not vanish."""
        if constant not in self._survives:
            exact = _numbers(constant)
            if exact.size == 1:
                with np.errstate(over="ignore"):
                    rounded = exact.astype(self._low.numpy()).astype(np.float32)
                fits = bool(np.isfinite(rounded).all() and rounded.any() == exact.any())
            else:  # extremes alone: a gigabyte of weights is read here
                fits = bool(max(exact.max(initial=0), -exact.min(initial=0)) <= _MAX[self._low])
            self._survives[constant] = fits
        return self._survives[constant]

    def _set_type(self, node: ir.Node, dtype: ir.DataType) -> None:
        for index, value in enumerate(node.inputs):
            if value is not None and self._is_float(value):
                node.replace_input_with(index, self._as(value, dtype))
        for output in node.outputs:
            if output.dtype is ir.DataType.FLOAT:
                output.dtype = dtype

    def _as(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """A value in a type: itself, or one version of it for all that read it so."""
        if value.dtype is dtype:
            return value
        if (value, dtype) not in self._versions:
            name = f"{value.name}.{dtype.name.lower()}"
            if value.is_initializer() and value.const_value is not None:
                version = _constant(self._graph, name, _converted(value.const_value, dtype))
            else:
                version = self._insert("Cast", [value], name, dtype, to=int(dtype))
            self._versions[value, dtype] = version
        return self._versions[value, dtype]

    def _insert(
        self, operation: str, inputs: Sequence[ir.Value], output: str, dtype: ir.DataType, **attributes: int
    ) -> ir.Value:
        """The output of a new node, right behind what computes its first input."""
        result = ir.Value(name=output, type=ir.TensorType(dtype), shape=inputs[0].shape)
        node = ir.node(operation, inputs, attributes, outputs=[result], name=output)
        producer = inputs[0].producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], node)
        else:
            self._graph.insert_after(producer, node)
        return result

    def _quantise(self, node: ir.Node) -> None:
        """Put E4M3 between a product and its operands: one step for the activations, one for each output of the
        weights."""
        activation, weight = node.inputs[:2]
        assert activation is not None
        assert weight is not None
        amplitude = self._amplitudes.get(activation.name or "")
        if amplitude is None or not weight.is_initializer():
            return
        node.replace_input_with(0, self._quantised_activation(activation, amplitude))
        node.replace_input_with(1, self._quantised_weight(weight, 0 if node.attributes.get_int("transB", 0) else 1))

    def _quantised_activation(self, value: ir.Value, amplitude: float) -> ir.Value:
        if (value, _E4M3) not in self._versions:
            low = self._as(value, self._low)
            step = self._step(f"{value.name}.step", np.float32(amplitude))
            zero = _constant(self._graph, f"{value.name}.zero", ir.Tensor(np.zeros((), _E4M3.numpy())))
            stored = self._insert("QuantizeLinear", [low, step, zero], f"{value.name}.e4m3", _E4M3)
            self._versions[value, _E4M3] = self._dequantised(stored, step)
        return self._versions[value, _E4M3]

    def _quantised_weight(self, value: ir.Value, outputs: int) -> ir.Value:
        if (value, _E4M3) not in self._versions:
            step = self._step(f"{value.name}.step", np.abs(_numbers(value)).max(1 - outputs))
            steps = np.expand_dims(_numbers(step), 1 - outputs)
            exact = value.const_value
            assert exact is not None
            tensor = ir.LazyTensor(
                lambda: ir.Tensor(np.clip(exact.numpy() / steps, -MAX_E4M3, MAX_E4M3).astype(_E4M3.numpy())),
                _E4M3,
                ir.Shape(exact.shape.numpy()),
            )
            stored = _constant(self._graph, f"{value.name}.e4m3", tensor)
            self._versions[value, _E4M3] = self._dequantised(stored, step, axis=outputs)
        return self._versions[value, _E4M3]

    def _step(self, name: str, amplitude: np.ndarray | np.float32) -> ir.Value:
        """What one unit of E4M3 is worth, as it is rounded in the graph; never so small that it loses digits."""
        dtype = self._low.numpy()
        step = np.maximum(amplitude / MAX_E4M3, np.finfo(np.float16).smallest_normal)
        return _constant(self._graph, name, ir.Tensor(np.asarray(step, dtype)))

    def _dequantised(self, stored: ir.Value, step: ir.Value, **axis: int) -> ir.Value:
        return self._insert("DequantizeLinear", [stored, step], f"{stored.name}.dequantised", self._low, **axis)


def _fold(graph: ir.Graph) -> None:
    """Make initialisers of what is only a stored tensor widened and transposed; they are computed when they are
    read."""
    for node in tuple(graph):
        source = node.inputs[0] if node.inputs else None
        if source is None or node.op_type not in {"Cast", "CastLike", "Transpose"}:
            continue
        if node.op_type == "CastLike":  # the floats of a graph are all of one type
            folded = source
        elif not source.is_initializer() or source.const_value is None:
            continue
        elif node.op_type == "Cast":
            dtype = ir.DataType(node.attributes.get_int("to"))
            folded = _constant(graph, f"{node.outputs[0].name}.folded", _converted(source.const_value, dtype))
        else:
            order = node.attributes.get_ints("perm")
            folded = _constant(graph, f"{node.outputs[0].name}.folded", _transposed(source.const_value, order))
        ir.convenience.replace_all_uses_with(node.outputs[0], folded)
        graph.remove(node, safe=True)


def _constant(graph: ir.Graph, name: str, tensor: ir.TensorProtocol) -> ir.Value:
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape.numpy())
    )
    graph.register_initializer(value)
    return value


def _numbers(constant: ir.Value) -> np.ndarray:
    assert constant.const_value is not None
    return constant.const_value.numpy().astype(np.float32, copy=False)


def _converted(tensor: ir.TensorProtocol, dtype: ir.DataType) -> ir.TensorProtocol:
    return ir.LazyTensor(lambda: ir.Tensor(tensor.numpy().astype(dtype.numpy())), dtype, ir.Shape(tensor.shape.numpy()))


def _transposed(tensor: ir.TensorProtocol, order: Sequence[int]) -> ir.TensorProtocol:
    sizes = tensor.shape.numpy()
    shape = ir.Shape([sizes[axis] for axis in order])
    return ir.LazyTensor(lambda: ir.Tensor(np.ascontiguousarray(tensor.numpy().transpose(order))), tensor.dtype, shape)
