"""What the whole command costs: time and memory of `omniaudio generate` in a cold process, and the weights' size."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from pydantic import BaseModel, ConfigDict

RUNS = 5
THREADS = 2
WEIGHTS = ("omniaudio/model_zoo/checkpoints/draft", "omniaudio/recognition/weights")


class Cost(BaseModel):
    model_config = ConfigDict(frozen=True)

    clip_seconds: float
    wall_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    peak_bytes: tuple[int, ...]
    weights_bytes: int
    load: float
    """Of the machine before, by os.getloadavg: above 0, others were at work too."""

    @property
    def ratio(self) -> float:
        """Median wall time over the clip's length."""
        return median(self.wall_seconds) / self.clip_seconds


def measure_cost(clip: Path, clip_seconds: float, repository: Path) -> Cost:
    """Runs the command on a clip RUNS times."""
    load = os.getloadavg()[0]
    runs = []
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "omniaudio.cli", "generate", str(clip), "-o", f"{folder}/take.wav", "--force"]
        command += ["--model", "draft", "--duration", str(clip_seconds)]
        runs = [_run(command) for _ in range(RUNS)]
    wall, cpu, peak = zip(*runs, strict=True)
    weights = sum(f.stat().st_size for name in WEIGHTS for f in (repository / name).rglob("*") if f.is_file())
    return Cost(
        clip_seconds=clip_seconds, wall_seconds=wall, cpu_seconds=cpu, peak_bytes=peak, weights_bytes=weights, load=load
    )


def _run(command: Sequence[str]) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and peak bytes of a command's process."""
    started = perf_counter()
    silent = os.open(os.devnull, os.O_WRONLY)
    process = os.posix_spawn(
        command[0], list(command), {**os.environ, "OMP_NUM_THREADS": str(THREADS)},
        file_actions=[(os.POSIX_SPAWN_DUP2, silent, 1)],
    )  # fmt: skip
    os.close(silent)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed.")
    return perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
