"""The vision encoders: one line for each, imported on first use.

An encoder's description is in `omniaudio/vision`, in numpy, because generating with a bundle needs no torch; its torch
module is in `omniaudio/model` and named by a string. A config names the encoder that its model was trained with.
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
"""In place of an encoder's name in a config: the model takes no frames, and its features are given."""

ENCODERS = {
    "metaclip": "omniaudio.vision.metaclip:ENCODER",
}
"""Module and name of each `VisionEncoder`, by its `type` in a config."""


@dataclass(frozen=True)
class VisionEncoder:
    """A vision encoder.

    Attributes:
        name: its name in a config.
        folder: the folder of its weights in the user's models folder.
        views: its inputs: each view's name, with height and width in pixels.
        features: the number of features per view.
        cut: cuts an equirectangular frame, `uint8 (height, width, 3)`, into views by name.
        torch_loader: module and name of the function that loads it in torch: from the folder of its weights to an
            `nn.Module` in float32 and evaluation mode, which maps views `uint8 (batch, height, width, 3)` to features
            `(batch, features)`, both as a dict by the views' names. It raises UserError if weights or a package are
            missing.
    """

    name: str
    folder: str
    views: Mapping[str, tuple[int, int]]
    features: int
    cut: Callable[[npt.NDArray[np.uint8]], dict[str, npt.NDArray[np.uint8]]]
    torch_loader: str

    def load_in_torch(self, models: Path) -> Any:
        """Load its torch module with the weights in a models folder."""
        return _named(self.torch_loader)(models / self.folder)


def find(name: str) -> VisionEncoder:
    """Find the encoder of a name that a config allows.

    Raises:
        UserError: the name is `none`.
    """
    if name == NONE:
        raise UserError(
            "This model takes no frames: it makes the stem of a given kind of sound. Choose a model for 360° video.",
            ExitCode.NO_MODEL,
        )
    encoder: VisionEncoder = _named(ENCODERS[name])
    return encoder


def _named(place: str) -> Any:
    return importlib.metadata.EntryPoint("", place, "").load()
