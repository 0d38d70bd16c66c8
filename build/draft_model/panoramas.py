"""Reads the panoramas of the catalogue, whatever their form, as equirectangular 8-bit pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

WIDTH, HEIGHT = 1024, 512

Picture = NDArray[np.uint8]  # (512, 1024, 3) RGB


def from_exr_module(path: Path) -> Picture:
    """A JavaScript module that holds an EXR in base64 (@pmndrs/assets); tone-mapped."""
    text = path.read_text(encoding="ascii")
    blob = base64.b64decode(text.split("base64,", 1)[1].split("'", 1)[0])
    with av.open(io.BytesIO(blob), format="exr_pipe") as container:
        frame = next(container.decode(video=0))
    # gbrpf16: planes green, blue, red of half floats, which PyAV does not turn into an array itself.
    planes = [np.frombuffer(plane, np.float16).reshape(frame.height, -1)[:, : frame.width] for plane in frame.planes]
    return tone_map(np.stack([planes[2], planes[0], planes[1]], axis=-1).astype(np.float32))


def tone_map(light: NDArray[np.float32]) -> Picture:
    """Linear light (height, width, 3) to sRGB by Reinhard's global operator, keyed to the log-average luminance."""
    light = np.nan_to_num(light, nan=0.0, posinf=65504.0).clip(0)
    luminance = light @ np.float32([0.2126, 0.7152, 0.0722])
    scaled = luminance * 0.18 / np.exp(np.log(luminance + 1e-4).mean())
    white = max(4.0, float(np.percentile(scaled, 99.5)))
    mapped = light * (scaled * (1 + scaled / white**2) / (1 + scaled) / np.maximum(luminance, 1e-6))[..., None]
    srgb = np.where(mapped <= 0.0031308, 12.92 * mapped, 1.055 * np.maximum(mapped, 1e-6) ** (1 / 2.4) - 0.055)
    return resize((srgb.clip(0, 1) * 255).round().astype(np.uint8))


def resize(picture: Picture) -> Picture:
    """Any equirectangular RGB picture to 1024 × 512."""
    return np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def from_cube(faces: list[Path]) -> Picture:
    """Six square faces, in the order front, right, back, left, up, down; up and down join the front face."""
    cube = np.stack([np.asarray(Image.open(face).convert("RGB").resize((512, 512))) for face in faces])
    azimuth = (0.5 - (np.arange(WIDTH) + 0.5) / WIDTH) * 2 * np.pi
    elevation = (0.5 - (np.arange(HEIGHT) + 0.5) / HEIGHT) * np.pi
    x = np.cos(elevation)[:, None] * np.cos(azimuth)  # front
    y = np.cos(elevation)[:, None] * np.sin(azimuth)  # left
    z = np.broadcast_to(np.sin(elevation)[:, None], x.shape)
    # Per face: depth along its axis, then right and down within its picture.
    axes = [(x, -y, -z), (-y, -x, -z), (-x, y, -z), (y, x, -z), (z, -y, x), (-z, -y, -x)]
    depth = np.stack([axis[0] for axis in axes])
    which = depth.argmax(axis=0)
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index, (ahead, right, down) in enumerate(axes):
        here = which == index
        column = (right[here] / ahead[here] * 0.5 + 0.5) * 511
        row = (down[here] / ahead[here] * 0.5 + 0.5) * 511
        for channel in range(3):
            out[here, channel] = ndimage.map_coordinates(cube[index, :, :, channel], (row, column), order=1, mode="nearest")
    return out
