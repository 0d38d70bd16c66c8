"""Panoramas in linear light as equirectangular 8-bit images."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omniaudio.video.panorama import Rgb

WIDTH, HEIGHT = 1024, 512
MIDDLE_GREY = 0.18
BLOCK = 8  # pixels: FFmpeg decodes the block that holds the sun wrongly
NEGATIVE = -500.0  # linear light; ringing beside lamps stays far above
SUN = 60.0  # linear light to put there

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB, ITU-R BT.709


def from_exr_module(path: Path, key: float = MIDDLE_GREY) -> Rgb:
    """A JavaScript module that holds an EXR in base64 (@pmndrs/assets); tone-mapped; a smaller key for the night."""
    text = path.read_text(encoding="ascii")
    blob = base64.b64decode(text.split("base64,", 1)[1].split("'", 1)[0])
    with av.open(io.BytesIO(blob), "r", format="exr_pipe") as container:
        frame = next(container.decode(video=0))
    # gbrpf16: planes green, blue, red of half floats, which PyAV does not turn into an array itself.
    planes = [
        np.frombuffer(bytes(plane), np.float16).reshape(frame.height, -1)[:, : frame.width] for plane in frame.planes
    ]
    light = np.stack([planes[2], planes[0], planes[1]], axis=-1).astype(np.float32)
    blocks = light.reshape(frame.height // BLOCK, BLOCK, frame.width // BLOCK, BLOCK, 3)
    broken = blocks.min(axis=(1, 3, 4)) < NEGATIVE
    light[broken.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)] = SUN
    return tone_map(light, key)


def tone_map(light: NDArray[np.float32], key: float) -> Rgb:
    """Linear light (height, width, 3) to sRGB by Reinhard's operator, with the luminance's log-average at `key`."""
    light = light.clip(0)
    luminance = light @ LUMINANCE
    scaled = luminance * key / np.exp(np.log(luminance + 1e-4).mean())
    white = max(4.0, float(np.percentile(scaled, 99.5)))
    mapped = light * (scaled * (1 + scaled / white**2) / (1 + scaled) / np.maximum(luminance, 1e-6))[..., None]
    srgb = np.where(mapped <= 0.0031308, 12.92 * mapped, 1.055 * np.maximum(mapped, 1e-6) ** (1 / 2.4) - 0.055)
    return resize((srgb.clip(0, 1) * 255).round().astype(np.uint8))


def resize(panorama: Rgb) -> Rgb:
    """Resizes an equirectangular RGB image to 1024 × 512."""
    return np.asarray(Image.fromarray(panorama).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
