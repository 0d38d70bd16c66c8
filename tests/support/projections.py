"""Drawn images of known projections: panoramas with detail everywhere, photographs, fisheye circles, VR180."""

from functools import lru_cache

import numpy as np
from PIL import Image

from omniaudio.audio.ambisonics import panorama_directions
from omniaudio.video.panorama import Rgb, perspective_view


@lru_cache(maxsize=32)
def panorama(height: int = 180, seed: int = 0, octaves: int = 5) -> Rgb:
    """A panorama of plane waves over the sphere, from broad to fine, lighter above: continuous at seam and poles."""
    random = np.random.default_rng(seed)
    directions = panorama_directions(height, 2 * height)
    light = 120 + 50 * directions[..., 2:].repeat(3, axis=-1)
    for octave in range(octaves):
        for _ in range(3):
            wave = directions @ random.normal(0, 3 * 1.8**octave, 3) + random.uniform(0, 2 * np.pi)
            light += np.sin(wave)[..., None] * random.uniform(5, 22, 3)
    image: Rgb = light.clip(0, 255).round().astype(np.uint8)
    image.flags.writeable = False  # It is kept.
    return image


@lru_cache(maxsize=64)
def photograph(height: int = 180, width: int = 320, seed: int = 0) -> Rgb:
    """The view of a panorama through a lens of 70°."""
    view = perspective_view(panorama(360, seed), float(np.radians(70)), 0.7, -0.1, 320)
    return resized(view[70:250], width, height)


def resized(image: Rgb, width: int, height: int) -> Rgb:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


@lru_cache(maxsize=8)
def fisheye(size: int = 160, seed: int = 0) -> Rgb:
    """A circle on black, as one lens draws it."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    scene = resized(photograph(seed=seed), size, size) // 2 + 90
    return np.where((np.hypot(x, y) < 0.96)[..., None], scene, 3).astype(np.uint8)


def half(size: int = 180, seed: int = 0) -> Rgb:
    """The half of a panorama in front, square."""
    whole = panorama(size, seed)
    return whole[:, size // 2 : size // 2 + size]
