"""The tables of the rows on a CPU, and what was wanted beside what was measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks import osc
from benchmarks.full_size import Part, Variant
from benchmarks.gpu_table import Record, Stage
from benchmarks.measure import Journal, Run, Summary, ratios
from benchmarks.page import figure, table
from benchmarks.rows import (
    AUTO,
    BACKENDS,
    BRIDGE,
    LENGTHS,
    LONG,
    OSC,
    PARTS,
    SHORT,
    START_UP,
    VERY_LONG,
    WHOLE,
    clip_row,
)

SUM = "sum"


def with_sums(runs: Iterable[Run], steps: int) -> list[Run]:
    """Runs of parts with the whole clip by their sum: so many steps and one decoding."""
    return [
        Run(
            run.row,
            run.variant,
            run.round,
            run.seconds | {SUM: steps * run.seconds[Part.STEP] + run.seconds[Part.DECODE]},
            run.processor,
            run.peak,
        )
        for run in runs
    ]


def seconds_of(runs: Iterable[Run], variant: str, what: str = "total") -> list[float]:
    """A variant's wall-clock seconds of one thing, in the order of the rounds."""
    return [run.seconds[what] for run in runs if run.variant == variant and what in run.seconds]


def peaks_of(runs: Iterable[Run], variant: str) -> list[float]:
    """A variant's peak memory in MB."""
    return [run.peak for run in runs if run.variant == variant]


def released_table(journal: Journal, steps: int) -> str:
    """The released size: seconds of opening, step, decoder, both ways to the whole, ratios, peak memory."""
    heads = ["variant", "open, s", "a step, s", "× faster", "decoder, s", "× faster", f"{steps} steps + decoder, s"]
    heads += ["× faster", "whole run, s", "its peak, MB"]
    parts, wholes = with_sums(journal.of(PARTS), steps), journal.of(WHOLE)
    rows = []
    for variant in Variant:
        cells = [figure(Summary.of(values)) if (values := seconds_of(parts, variant, Part.OPEN)) else ""]
        for what in (Part.STEP, Part.DECODE, SUM):
            values, compared = seconds_of(parts, variant, what), ratios(parts, Variant.TORCH_FP32, variant, what)
            cells += [figure(Summary.of(found)) if found else "" for found in (values, compared)]
        took, peak = seconds_of(wholes, variant, Part.WHOLE), peaks_of(wholes, variant)
        cells += [figure(Summary.of(took)) if took else "", f"{max(peak):.0f}" if peak else ""]
        reason = journal.reason(PARTS, variant) or journal.reason(WHOLE, variant)
        if reason:
            cells[0] = f"not run: {reason}"
        rows.append([variant, *cells])
    return table(heads, rows)


def draft_table(journal: Journal) -> str:
    """The draft's whole command by length and back-end."""
    heads = ["clip, s", "back-end", "wall clock, s", "× real time", f"× faster than {AUTO}", "processor, s"]
    heads += ["peak, MB", "runs"]
    rows = []
    clips = [(f"{seconds}", clip_row(seconds), seconds) for seconds in LENGTHS]
    for clip, row, seconds in [("start-up", START_UP, 0), *clips]:
        for backend in BACKENDS if seconds <= SHORT else (AUTO,):
            runs = [run for run in journal.of(row) if run.variant == backend]
            if not runs:
                reason = journal.reason(row, backend) or "the row has no run"
                rows.append([clip, backend, f"not run: {reason}", *[""] * 5])
                continue
            wall = seconds_of(runs, backend)
            speed = figure(Summary.of(seconds / value for value in wall)) if seconds else ""
            compared = ratios(journal.of(row), AUTO, backend, "total")
            rows.append(
                [
                    clip,
                    backend,
                    figure(Summary.of(wall)),
                    speed,
                    figure(Summary.of(compared)) if compared else "",
                    figure(Summary.of(run.processor for run in runs)),
                    figure(Summary.of(peaks_of(runs, backend))),
                    f"{len(runs)}",
                ]
            )
    return table(heads, rows)


def osc_table(journal: Journal) -> str:
    """The OSC bridge: each thing's milliseconds."""
    rows = []
    for what in (osc.ACCEPTED, osc.MAX_ACCEPTED, osc.ANSWERED):
        values = [1000 * seconds for seconds in seconds_of(journal.of(OSC), BRIDGE, what)]
        reason = journal.reason(OSC, BRIDGE) or "the row has no run"
        rows.append([what, figure(Summary.of(values)) if values else f"not run: {reason}"])
    return table(["", "ms"], rows)


@dataclass(frozen=True)
class Wanted:
    """Something that was wanted, and whether a measured value has reached it."""

    goal: str
    unit: str
    reached: Callable[[float], bool]

    def cells(self, measured: float | None, remark: str) -> list[str]:
        """A row of the table; `remark` says what was measured, or why it was not."""
        if measured is None:
            return [self.goal, f"not run: {remark}", ""]
        verdict = "reached" if self.reached(measured) else "not reached"
        return [self.goal, f"{figure(Summary.of([measured]))} {self.unit} ({remark})", verdict]


FASTER = Wanted("Released size: OpenVINO bf16 4 times faster than torch eager fp32", "×", lambda value: value >= 4)
MEMORY = Wanted("Released size: peak memory below 8 GB", "MB", lambda value: value < 8000)
SPEED = Wanted("Draft, 10 s: 3 times real time or better", "×", lambda value: value >= 3)
START = Wanted("Draft: start-up below 6 s", "s", lambda value: value < 6)
PEAK = Wanted("Draft: peak memory below 1.2 GB", "MB", lambda value: value < 1200)
CONSTANT = Wanted(f"Draft: {VERY_LONG} s in the memory of {LONG} s, within 10 %", "×", lambda value: value <= 1.1)
LINEAR = Wanted(
    f"Draft: linear time, {VERY_LONG} s within 11 times the time of {LONG} s", "×", lambda value: value <= 11
)
ASKED = Wanted("OSC: from a datagram to `accepted` below 20 ms, while a job runs", "ms", lambda value: value < 20)
QUEUED = Wanted("OSC: 1,000 queued `status` calls in a second", "ms", lambda value: value <= 1000)
FEATURES = Wanted("H200: features to 10 s of sound in 0.10 s", "s", lambda value: value <= 0.1)
VIDEO = Wanted("H200: video file to 10 s of sound in 0.5 s", "s", lambda value: value <= 0.5)


def wanted_table(journal: Journal, steps: int, gpu: Record) -> str:
    """What was wanted, what was measured, and whether that is reached."""
    parts, wholes = with_sums(journal.of(PARTS), steps), journal.of(WHOLE)
    faster = ratios(parts, Variant.TORCH_FP32, Variant.OPENVINO_BF16, SUM)
    rows = [
        FASTER.cells(_median(faster), journal.reason(PARTS, Variant.OPENVINO_BF16) or f"{steps} steps + decoder")
        if faster or journal.reason(PARTS, Variant.OPENVINO_BF16)
        else FASTER.cells(None, "no round has both")
    ]
    for variant in Variant:
        if (peak := _largest(peaks_of(wholes, variant))) is not None:
            rows.append(MEMORY.cells(peak, f"a whole run by {variant}"))
    short, long, longest = (journal.of(clip_row(seconds)) for seconds in (SHORT, LONG, VERY_LONG))
    for wanted, value in (
        (SPEED, _median(SHORT / value for value in seconds_of(short, AUTO))),
        (START, _median(seconds_of(journal.of(START_UP), AUTO))),
        (PEAK, _largest(peaks_of(short, AUTO))),
        (CONSTANT, _quotient(_median(peaks_of(longest, AUTO)), _median(peaks_of(long, AUTO)))),
        (LINEAR, _quotient(_median(seconds_of(longest, AUTO)), _median(seconds_of(long, AUTO)))),
    ):
        rows.append(wanted.cells(value, AUTO if value is not None else "the row has no run"))
    for wanted, what in ((ASKED, osc.ACCEPTED), (QUEUED, osc.ANSWERED)):
        value = _median(1000 * seconds for seconds in seconds_of(journal.of(OSC), BRIDGE, what))
        rows.append(wanted.cells(value, "median" if value is not None else "the row has no run"))
    for wanted, stage in ((FEATURES, Stage.FEATURES_TO_SOUND), (VIDEO, Stage.VIDEO_TO_SOUND)):
        row = gpu.fastest(stage)
        rows.append(
            wanted.cells(row.seconds.median if row and row.seconds else None, row.way if row else "no GPU here")
        )
    return table(["wanted", "measured", ""], rows)


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return Summary.of(known).median if known else None


def _largest(values: Iterable[float]) -> float | None:
    return max(values, default=None)


def _quotient(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other is not None else None
