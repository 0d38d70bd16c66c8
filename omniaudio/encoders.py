"""The vision encoders: one line for each, imported where it is first needed.

What one tells of itself stands in `omniaudio/vision`, in numpy, because generating with a bundle needs no torch; its
module in torch stands in `omniaudio/model` and is named by a text. A config says which one its model was trained with.
"""

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from omniaudio.errors import ExitCode, UserError

METACLIP_FOLDER = "metaclip-h14"
"""MetaCLIP-H14's folder, beside the models' folders."""
NONE = "none"
"""Instead of an encoder's name in a config: the model sees no frames, and its features are given."""

ENCODERS = {
    "metaclip": "omniaudio.vision.metaclip:ENCODER",
}
"""Module and name of each `VisionEncoder`, by the `type` that a config calls it."""


@dataclass(frozen=True)
class VisionEncoder:
    """A vision encoder.

    Attributes:
        name: as a config calls it.
        folder: of its weights, in the user's folder of models.
        views: what it is shown of a frame: each input's name, and its height and width in pixels.
        features: how many numbers it gives for each view.
        cut: from an equirectangular frame, `uint8 (height, width, 3)`, to its views by name.
        torch_loader: module and name of the function that loads it in torch: from the folder of its weights to an
            `nn.Module` in float32 and evaluation mode, which takes views `uint8 (batch, height, width, 3)` and gives
            features `(batch, features)`, both as a dict by the views' names. It raises `UserError` where weights or a
            package are missing.
    """

    name: str
    folder: str
    views: Mapping[str, tuple[int, int]]
    features: int
    cut: Callable[[npt.NDArray[np.uint8]], dict[str, npt.NDArray[np.uint8]]]
    torch_loader: str

    def load_in_torch(self, models: Path) -> Any:
        """Its module in torch, of the weights in a folder of models."""
        return _named(self.torch_loader)(models / self.folder)


def find(name: str) -> VisionEncoder:
    """The encoder of a name that a config allows.

    Raises:
        UserError: the name is `none`.
    """
    if name == NONE:
        raise UserError(
            "This model sees no frames: it makes the stem of a given kind of sound. Choose a model for 360° video.",
            ExitCode.NO_MODEL,
        )
    encoder: VisionEncoder = _named(ENCODERS[name])
    return encoder


def _named(place: str) -> Any:
    return importlib.metadata.EntryPoint("", place, "").load()
