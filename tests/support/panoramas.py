"""A panorama for the tests of several packages."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_panorama(path: Path) -> Path:
    """Write a still panorama, 1024 x 512, whose edges meet, and return its path."""
    azimuth = np.linspace(np.pi, -np.pi, 1024, endpoint=False)
    elevation = np.linspace(np.pi / 2, -np.pi / 2, 512)
    waves = [np.cos(elevation)[:, None] * np.cos(azimuth + shift) for shift in (0.0, 1.0, 2.0)]
    Image.fromarray(np.stack([127 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)).save(path)
    return path
