"""The whole command `omniaudio generate`, from a video file to a WAV, as processes to be measured."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.measure import Process

FRAMES_PER_SECOND = 10
HEIGHT = 512


def write_clip(path: Path, seconds: int) -> None:
    """A panorama of soft shapes that turns once in 20 s."""
    azimuth = np.linspace(np.pi, -np.pi, 2 * HEIGHT, endpoint=False)
    elevation = np.linspace(np.pi / 2, -np.pi / 2, HEIGHT)[:, None]
    waves = [np.cos(elevation) * np.cos(periods * azimuth) for periods in (1, 3, 7)]
    panorama = np.stack([127 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = 2 * HEIGHT, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FRAMES_PER_SECOND)
        for index in range(seconds * FRAMES_PER_SECOND):
            shift = index * 2 * HEIGHT // (20 * FRAMES_PER_SECOND)
            frame = av.VideoFrame.from_ndarray(np.roll(panorama, shift, axis=1))
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def command(clip: Path, model: str, backend: str, seconds: float, *more: str) -> Process:
    """The command for the first `seconds` of a clip; the WAV lies beside it."""
    arguments = ["--duration", str(seconds), "-o", str(clip.with_name("out.wav")), "--model", model]
    return Process(
        [sys.executable, "-m", "omniaudio.cli", "generate", str(clip), *arguments, "--backend", backend, *more]
    )


def start_up(clip: Path, model: str, backend: str) -> Process:
    """The command for a tenth of a second in one step: everything is opened, and every stage runs once."""
    return command(clip, model, backend, 0.1, "--steps", "1", "--no-preview", "--no-map")
