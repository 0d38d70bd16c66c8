"""A graph without products in float32 computes what it computed with them."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import TensorProto, helper

from trt_engine.graphs.fp32_gemm import replace_products


def test_products_as_convolutions_and_sums_are_the_same_numbers() -> None:
    random = np.random.default_rng(0)
    left, right, layer, bias = (
        random.standard_normal(shape).astype(np.float32) for shape in ((6, 5), (7, 3), (4, 7), (4,))
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5, 7])
    v = helper.make_tensor_value_info("v", TensorProto.FLOAT, ["batch", 7])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("by_right", ["batch", 5, 3]), ("by_left", ["batch", 6, 7]), ("both", ["batch", 6, 3]),
                            ("layer", ["batch", 4]))
    ]  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "right"], ["by_right"]),
        helper.make_node("MatMul", ["left", "x"], ["by_left"]),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["by_left", "turned"], ["square"]),
        helper.make_node("MatMul", ["square", "by_right"], ["both"]),
        helper.make_node("Gemm", ["v", "weight", "bias"], ["layer"], transB=1),
    ]
    constants = [
        onnx.numpy_helper.from_array(values, name)
        for name, values in (("left", left), ("right", right), ("weight", layer), ("bias", bias))
    ]
    graph = helper.make_graph(nodes, "g", [x, v], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    changed = ir.from_proto(model)
    assert replace_products(changed)
    assert not {node.op_type for node in changed.graph} & {"MatMul", "Gemm"}
    assert not replace_products(changed)
    inputs = {
        "x": random.standard_normal((2, 5, 7)).astype(np.float32),
        "v": random.standard_normal((2, 7)).astype(np.float32),
    }
    before, after = (
        onnxruntime.InferenceSession(one.SerializeToString()).run(None, inputs) for one in (model, ir.to_proto(changed))
    )
    for expected, computed in zip(before, after, strict=True):
        np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4)
