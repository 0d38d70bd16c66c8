"""360° panoramas: pixel positions and directions, perspective views, resizing.

A panorama is equirectangular, `uint8 (height, width, 3)` RGB with square pixels, so twice as wide as high. u runs from
left to right, v from bottom to top, both from 0 to 1: azimuth = (0.5 − u)·2π, elevation = (v − 0.5)·π. The
directions through its pixels are `ambisonics.panorama_directions`; those through patches too, since a grid of patches
is a panorama of fewer pixels.

Sources: the released OmniAudio code's views, as `views.safetensors` of a parity folder holds them; Liu et al.,
"OmniAudio" (2025), section 4.2, for the two branches; Keys, "Cubic convolution interpolation" (1981).
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from omniaudio.audio.ambisonics import angles, rotation_matrix

Rgb = npt.NDArray[np.uint8]
"""An image: `(height, width, 3)`."""
RgbBatch = npt.NDArray[np.uint8]
"""Several images of one size: `(batch, height, width, 3)`."""
Floats = npt.NDArray[np.floating[Any]]

_SHARPNESS = -0.75
"""The free parameter of Keys' kernel that the released views were made with."""


def to_uv(vectors: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The positions of directions `(..., 3)` on a panorama: u (0 left to 1 right) and v (0 bottom to 1 top)."""
    azimuth, elevation = angles(vectors)
    return 0.5 - azimuth / (2 * np.pi), 0.5 + elevation / np.pi


def perspective_view(panorama: Rgb, field_of_view: float, yaw: float, pitch: float, size: int) -> Rgb:
    """What a square pinhole camera at the panorama's centre sees: `(size, size, 3)`.

    Angles are in radians; `field_of_view` (below π) reaches from the centres of the first column's pixels to those of
    the last. The camera looks to azimuth `yaw` (counter-clockwise: positive is to the left) and elevation `pitch`.

    The released code's yaw has the same sign and its pitch the opposite one: its view `yaw-135_pitch30` is yaw −135°,
    pitch −30° here. Like its views, these take a pixel's centre to be its upper left corner, half a pixel off."""
    if not 0 < field_of_view < np.pi:
        raise ValueError(f"the field of view must be between 0 and π, not {field_of_view}")
    pixels, weights = _view_pixels((panorama.shape[0], panorama.shape[1]), field_of_view, yaw, pitch, size)
    mixed = np.einsum("pk,pkc->pc", weights, panorama.reshape(-1, 3)[pixels], dtype=np.float32)
    view: Rgb = np.rint(mixed).clip(0, 255).astype(np.uint8)
    return view.reshape(size, size, 3)


def pad_square(image: Rgb) -> Rgb:
    """Centre an image on a black square `(side, side, 3)` of its longer side."""
    height, width = image.shape[:2]
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    return np.pad(image, ((above, side - height - above), (left, side - width - left), (0, 0)))


def wrap_seam(panorama: Rgb, pixels: int) -> Rgb:
    """Repeat `pixels` columns of a panorama beyond each side, `(height, width + 2·pixels, 3)`, so that nothing at the
    back is cut in two."""
    return np.pad(panorama, ((0, 0), (pixels, pixels), (0, 0)), mode="wrap")


def resize(panorama: Rgb, height: int, width: int) -> Rgb:
    """Resize a panorama to `(height, width, 3)`: antialiased, bicubic, and continuous across the seam."""
    if panorama.shape[:2] == (height, width):
        return panorama
    # Pillow's kernel reads beyond the box, so the repeated columns make it wrap: two pixels of the coarser grid.
    margin = min(panorama.shape[1], 2 * int(np.ceil(max(1.0, panorama.shape[1] / width))))
    wrapped = Image.fromarray(wrap_seam(panorama, margin))
    box = (margin, 0, margin + panorama.shape[1], panorama.shape[0])
    return np.asarray(wrapped.resize((width, height), Image.Resampling.BICUBIC, box=box))


@lru_cache(maxsize=8)
def _view_pixels(
    shape: tuple[int, int], field_of_view: float, yaw: float, pitch: float, size: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The pixels of a panorama `(height, width)`, counted row by row, from which each pixel of a view is interpolated,
    and their bicubic weights: both `(size², 16)`. Cached, since a clip's frames share them.

    Columns wrap at the seam. Beyond a pole, the opposite meridian follows."""
    height, width = shape
    reach = np.tan(field_of_view / 2)
    across = np.linspace(reach, -reach, size)
    left, up = np.meshgrid(across, across)
    camera = np.stack([np.ones_like(left), left, up], axis=-1).reshape(-1, 3)
    u, v = to_uv(camera @ rotation_matrix(yaw, pitch).T)
    x, y = u * width, (1 - v) * height
    columns, rows = (np.floor(place)[:, None] + np.arange(-1, 3) for place in (x, y))
    weights = _keys(y[:, None] - rows)[:, :, None] * _keys(x[:, None] - columns)[:, None, :]
    line = rows % (2 * height)
    beyond = line >= height
    line = np.where(beyond, 2 * height - 1 - line, line)
    meridian = (columns[:, None, :] + (beyond * (width // 2))[:, :, None]) % width
    pixels = line[:, :, None] * width + meridian
    return pixels.reshape(-1, 16).astype(np.int32), weights.reshape(-1, 16).astype(np.float32)


def _keys(distance: Floats) -> Floats:
    """Keys' cubic convolution kernel at distances of at most two pixels."""
    s, a = np.abs(distance), _SHARPNESS
    near = ((a + 2) * s - (a + 3)) * s**2 + 1
    far = a * (((s - 5) * s + 8) * s - 4)
    return np.where(s <= 1, near, far)
