"""The rows of `benchmarks/gpu.py` and their tables; no torch, so that the page can say what has not been run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.measure import Summary
from benchmarks.page import facts, figure, table

RECORD = Path(__file__).with_name("gpu.json")
"""What `gpu.py` measured on a machine with a GPU, where that has been done: put there by hand."""


class Stage(StrEnum):
    """What is timed; each for a clip of the model's native length."""

    VIDEO = "video decode"
    VISION = "vision"
    CONDITIONER = "conditioner"
    SAMPLER = "sampler, 24 steps"
    DECODER = "decoder"
    FEATURES_TO_SOUND = "features to sound"
    VIDEO_TO_SOUND = "video file to sound"


class Way(StrEnum):
    """How it is computed."""

    FP32 = "torch eager fp32"
    BF16 = "torch eager bf16"
    COMPILED = "torch.compile bf16"
    GRAPH = "CUDA graph bf16"
    COMPILED_GRAPH = "torch.compile, CUDA graph, bf16"
    FP8 = "torch.compile, CUDA graph, fp8"
    TENSORRT = "TensorRT"
    TENSORRT_RTX = "TensorRT-RTX"
    ENGINE = "this project's torch back-end, bf16"
    CPU = "PyAV on the CPU"


COMPILED = (Way.FP32, Way.BF16, Way.COMPILED, Way.GRAPH, Way.COMPILED_GRAPH)
ENGINES = (Way.TENSORRT, Way.TENSORRT_RTX)
ROWS: dict[Stage, tuple[Way, ...]] = {
    Stage.VIDEO: (Way.CPU,),
    Stage.VISION: (Way.FP32, Way.BF16, Way.GRAPH, Way.COMPILED_GRAPH),
    Stage.CONDITIONER: (Way.FP32, Way.BF16),
    Stage.SAMPLER: (*COMPILED, Way.FP8, Way.ENGINE, *ENGINES),
    Stage.DECODER: (*COMPILED, *ENGINES),
    Stage.FEATURES_TO_SOUND: (Way.FP32, Way.BF16, Way.GRAPH, Way.COMPILED_GRAPH, Way.FP8),
    Stage.VIDEO_TO_SOUND: (Way.COMPILED_GRAPH,),
}


@dataclass(frozen=True)
class Row:
    """A measured row (`seconds`), or why there is none (`reason`).

    `limit` is the least time that the arithmetic and the bytes of the stage allow at the speeds measured in the same
    run; `error` is the relative root-mean-square distance to float32; `ratio` compares with the first way of the
    stage, round by round; `peak` is device memory in MB.
    """

    stage: str
    way: str
    seconds: Summary | None = None
    ratio: Summary | None = None
    limit: float | None = None
    error: float | None = None
    peak: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Record:
    """One run of `gpu.py`: the machine, speeds measured on it, and all rows."""

    machine: dict[str, str]
    rows: tuple[Row, ...]

    @staticmethod
    def read(path: Path) -> "Record":
        """From a file that `write` has written."""
        return TypeAdapter(Record).validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_bytes(TypeAdapter(Record).dump_json(self, indent=1) + b"\n")

    def fastest(self, stage: Stage) -> Row | None:
        """The fastest measured row of a stage."""
        measured = [row for row in self.rows if row.stage == stage and row.seconds]
        return min(measured, key=lambda row: row.seconds.median if row.seconds else 0.0, default=None)


def not_run(reason: str) -> Record:
    """All rows, none of them run."""
    return Record({}, tuple(Row(stage, way, reason=reason) for stage, ways in ROWS.items() for way in ways))


def markdown(record: Record) -> str:
    """The machine and the rows as tables."""
    heads = ["stage", "way", "ms: median (min–max)", "× the stage's first", "limit, ms", "error", "device memory, MB"]
    return "\n\n".join(
        [*([facts(record.machine)] if record.machine else []), table(heads, [_cells(row) for row in record.rows])]
    )


def _cells(row: Row) -> Sequence[str]:
    if row.seconds is None:
        return [row.stage, row.way, f"not run: {row.reason}", "", "", "", ""]
    scaled = Summary(1e3 * row.seconds.median, 1e3 * row.seconds.least, 1e3 * row.seconds.most, row.seconds.count)
    return [
        row.stage,
        row.way,
        figure(scaled),
        figure(row.ratio) if row.ratio else "",
        "" if row.limit is None else f"{1e3 * row.limit:.1f}",
        "" if row.error is None else f"{row.error:.1e}",
        "" if row.peak is None else f"{row.peak:.0f}",
    ]
