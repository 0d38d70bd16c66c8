"""Matrix products in float32 for Turing, for which TensorRT-RTX has none: as convolutions and sums, which it has.

What a graph lowered to fp16 keeps in float32 has products too, of which it refuses every one for architecture 75
("FP32 GEMM is not supported", TensorRT-RTX 1.7.1). A product with a constant matrix is a convolution with a kernel of
one, whose filters are the matrix's columns. A product of two computed tensors is a sum over their broadcast product.
"""

from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, ShapeInferencePass

ARCHITECTURE = 75


def write_without_products(source: Path, target: Path) -> bool:
    """Write the graph with every `MatMul` and `Gemm` in float32 replaced, its constants to `target` + `.data`.

    Args:
        source: a graph that `trt_engine.graphs.precision` has lowered.
        target: where the other one goes; the folder exists.

    Returns:
        Whether there was any; where there was none, nothing is written.
    """
    model = ir.load(source)
    if not replace_products(model):
        return False
    ir.save(model, target, format="protobuf", external_data=f"{target.name}.data")
    return True


def replace_products(model: ir.Model) -> bool:
    """Replace every `MatMul` and `Gemm` in float32, in place; whether there was any."""
    ShapeInferencePass()(model)
    products = [
        node
        for node in model.graph
        if node.op_type in {"MatMul", "Gemm"} and node.outputs[0].dtype is ir.DataType.FLOAT
    ]
    for node in products:
        _Replacement(model.graph, node).run()
    RemoveUnusedNodesPass()(model)
    return bool(products)


class _Replacement:
    """One product's."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self._graph = graph
        self._node = node
        self._count = 0

    def run(self) -> None:
        (output,) = self._node.outputs
        name, self._base = output.name, f"{output.name}.turing"
        replaced = self._gemm() if self._node.op_type == "Gemm" else self._matmul()
        output.name, replaced.name = f"{name}.product", name
        replaced.type, replaced.shape = output.type, output.shape
        ir.convenience.replace_all_uses_with(output, replaced, replace_graph_outputs=True)
        self._graph.remove(self._node, safe=True)

    def _gemm(self) -> ir.Value:
        left, right, bias = (*self._node.inputs, None)[:3]
        attributes = self._node.attributes
        scaled = any(attributes.get_float(name, 1.0) != 1.0 for name in ("alpha", "beta"))
        if scaled or attributes.get_int("transA", False):
            raise ValueError(f"{self._node.name}: no exporter of torch's linear layers writes such a product")
        assert left is not None
        assert right is not None
        if not right.is_initializer():
            raise ValueError(f"{self._node.name}: a linear layer whose weights are computed")
        matrix = _numbers(right)
        product = self._by_matrix(left, matrix.T if attributes.get_int("transB", False) else matrix)
        return product if bias is None else self._op("Add", product, bias)

    def _matmul(self) -> ir.Value:
        left, right = self._node.inputs
        assert left is not None
        assert right is not None
        if _is_matrix(right):
            return self._by_matrix(left, _numbers(right))
        if _is_matrix(left):
            return self._by_left_matrix(_numbers(left), right)
        by_row = self._op("Unsqueeze", left, self._integers(-1))  # (…, M, K, 1)
        by_column = self._op("Unsqueeze", right, self._integers(-3))  # (…, 1, K, N)
        return self._op("ReduceSum", self._op("Mul", by_row, by_column), self._integers(-2), keepdims=0)

    def _by_matrix(self, value: ir.Value, matrix: np.ndarray) -> ir.Value:
        """(…, K) times a constant (K, N), as a convolution over images of one pixel and K channels."""
        rows, columns = matrix.shape
        filters = self._constant(np.ascontiguousarray(matrix.T)[:, :, None, None])
        pixels = self._op("Reshape", value, self._integers(-1, rows, 1, 1))
        leading = self._op("Shape", value, end=-1)
        shape = self._op("Concat", leading, self._integers(columns), axis=0)
        return self._op("Reshape", self._op("Conv", pixels, filters), shape)

    def _by_left_matrix(self, matrix: np.ndarray, value: ir.Value) -> ir.Value:
        """A constant (M, K) times (…, K, N), as a convolution over columns of N pixels and K channels."""
        rows, inner = matrix.shape
        leading, columns = self._op("Shape", value, end=-2), self._op("Shape", value, start=-1)
        column = self._op("Concat", self._integers(-1, inner), columns, self._integers(1), axis=0)
        filters = self._constant(np.ascontiguousarray(matrix)[:, :, None, None])
        pixels = self._op("Conv", self._op("Reshape", value, column), filters)
        return self._op("Reshape", pixels, self._op("Concat", leading, self._integers(rows), columns, axis=0))

    def _op(self, operation: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        result = ir.Value(name=self._name())
        self._graph.insert_before(
            self._node, ir.node(operation, inputs, attributes, outputs=[result], name=result.name)
        )
        return result

    def _integers(self, *values: int) -> ir.Value:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: np.ndarray) -> ir.Value:
        tensor = ir.Tensor(values)
        value = ir.Value(
            name=self._name(), const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(values.shape)
        )
        self._graph.register_initializer(value)
        return value

    def _name(self) -> str:
        self._count += 1
        return f"{self._base}.{self._count}"


def _is_matrix(value: ir.Value) -> bool:
    return value.is_initializer() and value.shape is not None and len(value.shape) == 2


def _numbers(constant: ir.Value) -> np.ndarray:
    assert constant.const_value is not None
    return constant.const_value.numpy()
