"""A lowered graph for a CPU: computed in float32, rounded wherever the graph keeps a value in a lower type.

CPU back-ends cannot be asked what a lowered graph computes: they lack the types, or silently keep what lies between in
float32. Here every value is rounded that the graph says is rounded. A GPU's kernels are fused and round less often, and
add in another order: this is the arithmetic of the graph, not of a GPU.
"""

import onnx_ir as ir

from trt_engine.graphs.precision import MOVING

_LOW = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def emulate(model: ir.Model) -> None:
    """Rewrite in place what `trt_engine.graphs.precision.lower` made."""
    graph = model.graph
    for constant in tuple(graph.initializers.values()):
        if constant.dtype in _LOW:
            _widen(graph, constant)
    for node in tuple(graph):
        for output in node.outputs:
            if output.dtype not in _LOW:
                continue
            low = output.dtype
            if node.op_type != "Cast":
                output.dtype = ir.DataType.FLOAT
            if node.op_type not in MOVING:  # those only hand on what is rounded already
                _round(graph, node, output, low)


def _widen(graph: ir.Graph, constant: ir.Value) -> None:
    tensor = constant.const_value
    assert tensor is not None
    constant.const_value = ir.LazyTensor(
        lambda: ir.Tensor(tensor.numpy().astype("float32")), ir.DataType.FLOAT, ir.Shape(tensor.shape.numpy())
    )
    constant.dtype = ir.DataType.FLOAT


def _round(graph: ir.Graph, node: ir.Node, output: ir.Value, low: ir.DataType) -> None:
    """Make all that read an output read it to the precision of a type, but in float32."""
    readers = [(use.node, use.idx) for use in output.uses()]
    rounded = output
    nodes = []
    for dtype in (low, ir.DataType.FLOAT):
        if rounded.dtype is dtype:  # a cast to the low type rounds by itself
            continue
        value = ir.Value(name=f"{rounded.name}.as_{dtype.name.lower()}", type=ir.TensorType(dtype), shape=output.shape)
        nodes.append(ir.node("Cast", [rounded], {"to": int(dtype)}, outputs=[value]))
        rounded = value
    graph.insert_after(node, nodes)
    for reader, index in readers:
        reader.replace_input_with(index, rounded)
