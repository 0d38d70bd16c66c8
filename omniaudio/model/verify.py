"""`omniaudio verify`: compares this code's outputs with those of the released code, stored in a folder."""

import math
import re
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from omniaudio.errors import ExitCode, UserError
from omniaudio.model.parity import FIGURES_NAME, relative_errors
from omniaudio.video.panorama import pad_square, perspective_view

TENSOR_TOLERANCE = 1e-4
"""Limit of the largest error relative to a tensor's largest value, exclusive."""
PIXEL_TOLERANCE = 1 / 255
"""Limit of the error of `PIXEL_QUANTILE` of an image's pixels, relative to full scale."""
PIXEL_QUANTILE = 0.999

VIEWS_NAME = "views.safetensors"
_VIEW = re.compile(r"view_(?:front|yaw(?P<yaw>-?\d+))(?:_pitch(?P<pitch>-?\d+))?_(?:fov)?(?P<fov>\d+)")


def view_errors(folder: Path) -> dict[str, float]:
    """Recompute every view in the folder's `views.safetensors` from its `panorama`.

    Returns:
        For each view, the error that 99.9 % of its pixels stay within, relative to full scale.

    Raises:
        UserError: the file is damaged, or contains an unknown view.
    """
    path = folder / VIEWS_NAME
    try:
        views = load_file(path)
        panorama = views.pop("panorama")
    except (KeyError, SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or contains no panorama; copy it again.") from error
    errors = {}
    for name, expected in views.items():
        if name == "padded_square":
            actual = pad_square(panorama)
        elif match := _VIEW.fullmatch(name):
            yaw, pitch, fov = (math.radians(float(match[group] or 0)) for group in ("yaw", "pitch", "fov"))
            # The released code's pitch points down.
            actual = perspective_view(panorama, fov, yaw, -pitch, expected.shape[0])
        else:
            raise UserError(f"The view {name!r} in {path} is not known; remove it or update omniaudio.")
        difference = np.abs(actual.astype(np.int16) - expected.astype(np.int16)).max(axis=-1)
        errors[name] = float(np.quantile(difference, PIXEL_QUANTILE)) / 255
    return errors


def verify(folder: Path) -> tuple[dict[str, float], bool]:
    """Reproduce the contents of a parity folder: `io.safetensors` with its model, and `views.safetensors`.

    Returns:
        The error of each tensor and view, and whether all are within tolerance.

    Raises:
        UserError: there is nothing to check, or a file is missing or damaged.
    """
    errors: dict[str, float] = {}
    good = True
    if (folder / FIGURES_NAME).exists():
        errors |= relative_errors(folder)
        # Written so that NaN fails.
        good = all(value < TENSOR_TOLERANCE for value in errors.values())
    if (folder / VIEWS_NAME).exists():
        views = view_errors(folder)
        errors |= views
        good = good and all(value <= PIXEL_TOLERANCE for value in views.values())
    if not errors:
        raise UserError(f"There is neither {FIGURES_NAME} nor {VIEWS_NAME} in {folder}.", ExitCode.NO_INPUT)
    return errors, good
