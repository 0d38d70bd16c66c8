"""The rows on a CPU: which processes are measured, in which order."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from benchmarks import generate, osc
from benchmarks.full_size import Task, Variant
from benchmarks.machine import has_bf16
from benchmarks.measure import Journal, NotRun, Process, measure_rounds, run_process

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS, WHOLE, START_UP = "released size, parts", "released size, whole", "draft, start-up"
OSC, BRIDGE = "OSC", "bridge"
BACKENDS = ("onnxruntime", "openvino", "torch")
AUTO = BACKENDS[0]
"""What `--backend auto` takes on a CPU."""
LENGTHS = SHORT, LONG, VERY_LONG = 10, 60, 600
"""Seconds of the clips."""
ROUNDS = 5
ONCE = 1
"""Rounds of the whole runs at the released size, which show that the parts add up, and of the longest clip."""
GRAPHS_COME_FROM = (
    "benchmarks/model.py",
    "benchmarks/prepare.py",
    "omniaudio/model/*.py",
    "trt_engine/bundling/export.py",
    "trt_engine/graphs/stage_modules.py",
)
"""Source that decides what the released size's graphs are."""


def clip_row(seconds: int) -> str:
    """The row of the draft's whole command for so long a clip."""
    return f"draft, {seconds} s"


def measure_released(journal: Journal, folder: Path, rounds: int) -> None:
    """The released size: its parts in `rounds` rounds, and whole runs."""
    for variant in Variant:
        if variant.needs_bf16 and not has_bf16():
            for row in (PARTS, WHOLE):
                if journal.reason(row, variant) is None:
                    journal.add(NotRun(row, variant, "the processor has no bfloat16"))
    for row, task, count in ((PARTS, Task.PARTS, rounds), (WHOLE, Task.WHOLE, ONCE)):
        command = [sys.executable, "-m", "benchmarks.full_size"]
        variants = {str(variant): Process([*command, variant, task, str(folder)]) for variant in Variant}
        measure_rounds(journal, row, variants, count)


def measure_draft(journal: Journal, model: str, rounds: int, lengths: tuple[int, int, int]) -> None:
    """The whole command with the draft: start-up, clips of three lengths, the longer ones by `auto`'s choice."""
    short, long, longest = lengths
    with TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        generate.write_clip(clip, longest)
        starts = {backend: generate.start_up(clip, model, backend) for backend in BACKENDS}
        measure_rounds(journal, START_UP, starts, rounds)
        for seconds, backends, count in ((short, BACKENDS, rounds), (long, [AUTO], rounds), (longest, [AUTO], ONCE)):
            variants = {backend: generate.command(clip, model, backend, seconds) for backend in backends}
            measure_rounds(journal, clip_row(seconds), variants, count)


def measure_osc(journal: Journal, rounds: int) -> None:
    """The OSC bridge while the draft runs."""
    measure_rounds(journal, OSC, {BRIDGE: osc.process()}, rounds)


def released_model(cache: Path) -> Path:
    """The folder of the released size with random weights and its graphs.

    They are written if the cache lacks them or their source has changed, which takes minutes and 10 GB.
    """
    digest = sha256()
    for pattern in GRAPHS_COME_FROM:
        for file in sorted(REPOSITORY.glob(pattern)):
            digest.update(file.read_bytes())
    folder = cache / f"model-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        print("Making the released size with random weights and its graphs", flush=True)
        with _made_whole(cache, folder) as partial:
            run_process(Process([sys.executable, "-m", "benchmarks.prepare", str(partial)]))
    return next(folder.glob("*/bundle.json")).parent


@contextmanager
def _made_whole(cache: Path, folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when it is whole; older ones and unfinished ones are removed first."""
    for other in (*cache.glob("model-*"), *cache.glob("unfinished")):
        rmtree(other)
    partial = cache / "unfinished"
    partial.mkdir(parents=True)
    yield partial
    partial.rename(folder)
