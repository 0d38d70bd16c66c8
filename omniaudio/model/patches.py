"""The draft's vision: ImageNet features of every patch of the panorama."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from omniaudio.errors import ExitCode, UserError
from omniaudio.model.checkpoint import read_tensors
from omniaudio.model.efficientnet import STRIDE, EfficientNetLite0
from omniaudio.panorama import PANORAMA_MARGIN

VISION_NAME = "vision.safetensors"
"""Its weights, beside the model's: `EfficientNetLite0` but for the classifier, which the pointer has."""


class PanoramaPatches(nn.Module):
    """EfficientNet-Lite0 over a panorama that is repeated beyond its seam, so that no patch sees an edge there."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = EfficientNetLite0()
        del self.eye.classifier

    def forward(self, pictures: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`panorama`, uint8 (batch, 448, 1152, 3), to `panorama`, (batch, 14 · 28 patches, 1280), row by row from the
        top left."""
        seen = self.eye.features(pictures["panorama"].float().permute(0, 3, 1, 2))
        margin = PANORAMA_MARGIN // STRIDE
        return {"panorama": seen[..., margin:-margin].flatten(2).transpose(1, 2)}


def load_patches(weights: Path) -> PanoramaPatches:
    """Loads it, in float32 and evaluation mode.

    Raises:
        UserError: the file cannot be read or has not exactly its tensors.
    """
    tensors = {name: tensor.float() for name, tensor in read_tensors(weights).items()}
    with torch.device("meta"):
        patches = PanoramaPatches()
    try:
        patches.eye.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise UserError(f"{weights} does not hold the draft's vision ({error}).", ExitCode.NO_MODEL) from error
    return patches.eval()
