"""A short 360° video, as several tests need one."""

from pathlib import Path

import av
import numpy as np
from PIL import Image

from support.panoramas import write_panorama


def write_clip(path: Path, frames: int = 10) -> Path:
    """Write a 360° MP4 with 10 frames per second; return its path."""
    still = write_panorama(path.with_suffix(".png"))
    pixels = np.asarray(Image.open(still))
    still.unlink()
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = pixels.shape[:2]
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())
    return path
