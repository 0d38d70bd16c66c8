"""Synthetic 360° scenes: cutouts of sound sources, placed around the camera in front of a panorama."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from omniaudio.audio.ambisonics import panorama_directions, unit_vector
from omniaudio.video.panorama import Rgb

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Billboard:
    """A cutout that faces the camera."""

    cutout: Image.Image  # RGBA
    azimuth: float  # radians
    elevation: float  # radians
    size: float  # angle that the longer side takes, radians, below π/2


def render(panorama: Rgb, billboards: list[Billboard]) -> Rgb:
    """Draw the billboards, the last one nearest, in front of a copy of the panorama (height, width, 3)."""
    scene = panorama.copy()
    directions = panorama_directions(*panorama.shape[:2])
    for billboard in billboards:
        _draw(scene, directions, billboard)
    return scene


def _draw(scene: Rgb, directions: Floats, billboard: Billboard) -> None:
    centre = unit_vector(billboard.azimuth, billboard.elevation)
    left = unit_vector(billboard.azimuth + np.pi / 2, 0.0)
    up = np.cross(centre, left)
    half = np.tan(billboard.size / 2)
    width, height = billboard.cutout.size
    longer = max(width, height)
    ahead = directions @ centre
    near = np.flatnonzero((ahead > np.cos(min(billboard.size * 0.75, 1.5))).ravel())
    seen = directions.reshape(-1, 3)[near]
    along = ahead.ravel()[near]
    # Scale the cutout to about the pixels it will cover, to avoid aliasing.
    covered = max(int(np.ceil(billboard.size / (2 * np.pi) * scene.shape[1] * 1.2)), 4)
    scale = min(1.0, covered / longer)
    size = (max(int(width * scale), 1), max(int(height * scale), 1))
    pixels = np.asarray(billboard.cutout.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    x = (0.5 - (seen @ left) / along / (2 * half) * longer / width) * size[0] - 0.5
    y = (0.5 - (seen @ up) / along / (2 * half) * longer / height) * size[1] - 0.5
    inside = (x > -0.5) & (x < size[0] - 0.5) & (y > -0.5) & (y < size[1] - 0.5)
    colour = _bilinear(pixels, x[inside], y[inside])
    opacity = colour[:, 3:] / 255.0
    target = scene.reshape(-1, 3)
    where = near[inside]
    target[where] = np.rint(target[where] * (1 - opacity) + colour[:, :3] * opacity).astype(np.uint8)


def _bilinear(pixels: npt.NDArray[np.float32], x: Floats, y: Floats) -> npt.NDArray[np.float32]:
    x, y = np.clip(x, 0, pixels.shape[1] - 1), np.clip(y, 0, pixels.shape[0] - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, pixels.shape[1] - 1), np.minimum(top + 1, pixels.shape[0] - 1)
    across, down = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
    result: npt.NDArray[np.float32] = upper * (1 - down) + lower * down
    return result
