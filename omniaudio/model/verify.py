"""`omniaudio verify`: does this code compute what the released code computed? Figures of a folder, reproduced."""

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
"""Largest error over a tensor's largest value, exclusive."""
PIXEL_TOLERANCE = 1 / 255
"""What `PIXEL_QUANTILE` of a picture's pixels differ by at most, over its full scale."""
PIXEL_QUANTILE = 0.999

VIEWS_NAME = "views.safetensors"
_VIEW = re.compile(r"view_(?:front|yaw(?P<yaw>-?\d+))(?:_pitch(?P<pitch>-?\d+))?_(?:fov)?(?P<fov>\d+)")


def view_errors(folder: Path) -> dict[str, float]:
    """Cuts again every view of `views.safetensors` in the folder out of its `panorama`.

    Returns:
        For each view the error that 99.9 % of its pixels stay within, over the full scale.

    Raises:
        UserError: the file is damaged, or holds a view that is not known here.
    """
    path = folder / VIEWS_NAME
    try:
        views = load_file(path)
        panorama = views.pop("panorama")
    except (KeyError, SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or has no panorama in it.") from error
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
    """Reproduces what a folder like the parity fixture holds: `io.safetensors` with its model, `views.safetensors`.

    Returns:
        The error of each tensor and view, and whether all are within their tolerance.

    Raises:
        UserError: there is nothing to check, a file is missing or damaged.
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
