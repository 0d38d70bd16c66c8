"""Fast rendering of small perspective views of a panorama, for the perspective branch.

`panorama.perspective_view` matches the released model's views bit for bit; these are bilinear and ten times as fast.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from omniaudio.video.panorama import Rgb, RgbBatch


class Look(NamedTuple):
    """Direction and field of view of a view, in radians."""

    azimuth: float
    elevation: float
    field: float


def views(panorama: Rgb, looks: Sequence[Look], size: int) -> RgbBatch:
    """Views of square pinhole cameras at the panorama's centre, `(looks, size, size, 3)`.

    Each takes about 5 ms at 224 pixels."""
    height, width = panorama.shape[:2]
    seen = np.empty((len(looks), size, size, 3), np.uint8)
    pixels = panorama.reshape(-1, 3)
    across = (1 - (2 * np.arange(size, dtype=np.float32) + 1) / size)[None, :]
    for view, (azimuth, elevation, field) in zip(seen, looks, strict=True):
        reach = np.float32(np.tan(field / 2))
        left, up = across * reach, across.T * reach
        cosine, sine = np.float32(np.cos(elevation)), np.float32(np.sin(elevation))
        ahead, above = cosine - sine * up, sine + cosine * up
        azimuths = np.arctan2(left, ahead) + np.float32(azimuth)
        elevations = np.arctan2(above, np.hypot(ahead, left))
        x = (0.5 - azimuths / np.float32(2 * np.pi)) * width - np.float32(0.5)
        y = np.clip((0.5 - elevations / np.float32(np.pi)) * height - np.float32(0.5), 0, height - 1)
        column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
        right_share, lower_share = (x - column)[..., None], (y - row)[..., None]
        right, column = (column + 1) % width, column % width
        upper_line, lower_line = row * width, np.minimum(row + 1, height - 1) * width
        upper = _between(pixels[upper_line + column], pixels[upper_line + right], right_share)
        lower = _between(pixels[lower_line + column], pixels[lower_line + right], right_share)
        np.rint(upper + (lower - upper) * lower_share, out=view, casting="unsafe")
    return seen


def _between(first: Rgb, second: Rgb, share: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    start = first.astype(np.float32)
    return start + (second - start) * share
