"""Time and memory of `omniaudio generate`, whole processes from start to end, over the length of the clip.

    python benchmarks/generate.py [--model draft] [--backends openvino,onnxruntime] [--seconds 5,10,60,300] [--runs 3]

The clip is a panorama that turns, encoded for the longest length; each run is a process of its own. Prints a table in
Markdown: the median over the runs of wall-clock seconds, processor seconds and peak memory. Needs a POSIX system.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAMES_PER_SECOND = 10
HEIGHT = 512


def write_clip(path: Path, seconds: int) -> None:
    """A panorama of soft shapes that turns once in 20 s."""
    azimuth = np.linspace(np.pi, -np.pi, 2 * HEIGHT, endpoint=False)
    elevation = np.linspace(np.pi / 2, -np.pi / 2, HEIGHT)[:, None]
    waves = [np.cos(elevation) * np.cos(turns * azimuth) for turns in (1, 3, 7)]
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


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall-clock seconds, processor seconds and peak memory in MB of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, peak


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="draft")
    parser.add_argument("--backends", default="openvino,onnxruntime")
    parser.add_argument("--seconds", default="5,10,60,300")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    lengths = [int(seconds) for seconds in chosen.seconds.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, max(lengths))
        print(f"{os.cpu_count()} processors, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}\n")
        print("| back-end | clip, s | wall clock, s | × real time | processor, s | peak memory, MB |")
        print("| --- | --- | --- | --- | --- | --- |")
        for backend in chosen.backends.split(","):
            for seconds in lengths:
                command = [sys.executable, "-m", "omniaudio.cli", "generate", str(clip), "--duration", str(seconds)]
                command += ["-o", str(clip.with_name("out.wav")), "--model", chosen.model, "--backend", backend]
                runs = [measure(command) for _ in range(chosen.runs)]
                wall, processor, memory = (statistics.median(values) for values in zip(*runs, strict=True))
                print(
                    f"| {backend} | {seconds} | {wall:.1f} | {wall / seconds:.2f} | {processor:.1f} | {memory:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
