"""NanoDet-g from TensorFlow.js's form to ONNX, for images of any size whose sides are multiples of 32.

Two changes: images come as uint8 `(batch, height, width, 3)` RGB and are normalised in the graph (NanoDet's means and
deviations, in BGR), and the outputs are the maps of each stride, not flattened.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
MEANS = np.array([103.53, 116.28, 123.675], np.float32)  # of blue, green, red
DEVIATIONS = np.array([57.375, 57.12, 58.395], np.float32)

_SCALES = {"resize": 2.0, "resize_1": 2.0, "resize_2": 0.5, "resize_3": 0.5}
"""Of the feature pyramid's four resizings; TensorFlow.js wrote them as sizes."""

Array = NDArray[Any]


def convert(topology: Path) -> onnx.ModelProto:
    """The graph in `nanodet.json` with the weights beside it."""
    return _Converter(json.loads(topology.read_text()), topology.with_suffix(".bin").read_bytes()).model()


def read_weights(manifest: list[dict[str, Any]], content: bytes) -> dict[str, Array]:
    """TensorFlow.js's weights by name; halved ones become float32 again."""
    found: dict[str, Array] = {}
    offset = 0
    for weight in (weight for group in manifest for weight in group["weights"]):
        stored = np.dtype(weight.get("quantization", weight)["dtype"])
        count = int(np.prod(weight["shape"], dtype=int))
        values = np.frombuffer(content, stored, count, offset).astype(weight["dtype"])
        found[weight["name"]] = values.reshape(weight["shape"])
        offset += count * stored.itemsize
    if offset != len(content):
        raise ValueError(f"the weights take {offset} bytes, and the file has {len(content)}")
    return found


class _Converter:
    def __init__(self, model: dict[str, Any], content: bytes) -> None:
        self._weights = read_weights(model["weightsManifest"], content)
        self._given = {node["name"]: node for node in model["modelTopology"]["node"]}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._done: dict[str, list[str]] = {}

    def model(self) -> onnx.ModelProto:
        image = self._normalised()
        placeholder = next(name for name, node in self._given.items() if node["op"] == "Placeholder")
        self._done[placeholder] = [image]
        maps = [self._of(node["input"][0]) for node in self._given.values() if node["op"] == "Reshape"]
        sizes: list[str | int] = ["batch", "height", "width", 3]
        graph = helper.make_graph(
            self._nodes,
            "nanodet",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, sizes)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in maps],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return model

    def _normalised(self) -> str:
        """Channels second from the start, where the convolutions want them: last, these steps take longer."""
        first = self._add("Transpose", ["images"], "channels_second", perm=[0, 3, 1, 2])
        floats = self._add("Cast", [first], "floats", to=TensorProto.FLOAT)
        shape = (3, 1, 1)
        scaled = self._add("Sub", [floats, self._constant("means", MEANS[::-1].reshape(shape))], "centred")
        factors = self._constant("factors", (1 / DEVIATIONS[::-1]).reshape(shape))
        scaled = self._add("Mul", [scaled, factors], "scaled")
        return self._add("Gather", [scaled, self._constant("bgr", np.array([2, 1, 0]))], "normalised", axis=1)

    def _of(self, name: str) -> str:
        """The ONNX name of an output, `node` or `node:1`."""
        node, _, index = name.partition(":")
        if node not in self._done:
            self._done[node] = self._convert(self._given[node])
        return self._done[node][int(index or 0)]

    def _convert(self, node: dict[str, Any]) -> list[str]:  # noqa: PLR0911 - a row for each operator
        name, operator, inputs = node["name"], node["op"], node.get("input", [])
        match operator:
            case "Const":
                return [self._constant(name, self._weights[name])]
            case "Identity":
                return [self._of(inputs[0])]
            case "Transpose":
                return [self._add("Transpose", [self._of(inputs[0])], name, perm=self._weights[inputs[1]].tolist())]
            case "Add" | "AddV2":
                return [self._add("Add", [self._of(one) for one in inputs], name)]
            case "Sigmoid":
                return [self._add("Sigmoid", [self._of(inputs[0])], name)]
            case "LeakyRelu":
                return [self._add("LeakyRelu", [self._of(inputs[0])], name, alpha=float(node["attr"]["alpha"]["f"]))]
            case "ConcatV2":
                parts = [self._of(one) for one in inputs[:-1]]
                return [self._add("Concat", parts, name, axis=int(self._weights[inputs[-1]]))]
            case "Pad" | "PadV2":
                return [self._pad(name, inputs)]
            case "Conv2D":
                kernel = self._weights[inputs[1]].transpose(3, 2, 0, 1)
                return [self._windowed("Conv", node, [self._constant(f"{name}.kernel", kernel)])]
            case "MaxPool":
                sides = [int(side) for side in node["attr"]["ksize"]["list"]["i"][1:3]]
                return [self._windowed("MaxPool", node, [], kernel_shape=sides)]
            case "ResizeBilinear":
                scale = _SCALES[name.split("/")[1]]
                scales = self._constant(f"{name}.scales", np.array([1, scale, scale, 1], np.float32))
                modes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
                return [self._add("Resize", [self._of(inputs[0]), "", scales], name, **modes)]
            case "SplitV":
                lengths = self._constant(f"{name}.lengths", self._weights[inputs[1]].astype(np.int64))
                parts = [f"{name}.{index}" for index in range(len(self._weights[inputs[1]]))]
                axis = int(self._weights[inputs[2]])
                self._nodes.append(helper.make_node("Split", [self._of(inputs[0]), lengths], parts, axis=axis))
                return parts
        raise ValueError(f"no conversion is known for {operator} ({name})")

    def _pad(self, name: str, inputs: list[str]) -> str:
        before, after = self._weights[inputs[1]].T
        amounts = self._constant(f"{name}.amounts", np.concatenate([before, after]).astype(np.int64))
        value = [self._constant(f"{name}.value", self._weights[inputs[2]])] if len(inputs) > 2 else []
        return self._add("Pad", [self._of(inputs[0]), amounts, *value], name)

    def _windowed(self, operator: str, node: dict[str, Any], more: list[str], **attributes: Any) -> str:
        """An operator that wants the channels second, where TensorFlow has them last."""
        name, strides = node["name"], [int(step) for step in node["attr"]["strides"]["list"]["i"][1:3]]
        first = self._add("Transpose", [self._of(node["input"][0])], f"{name}.in", perm=[0, 3, 1, 2])
        made = self._add(operator, [first, *more], f"{name}.out", strides=strides, **attributes)
        return self._add("Transpose", [made], name, perm=[0, 2, 3, 1])

    def _add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _constant(self, name: str, values: Array) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name
