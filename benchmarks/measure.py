"""One run of a process, many runs in turn, and what is said of them: median, range, ratios within a round."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Run:
    """One measurement of a variant in a row of a table.

    `seconds` has wall-clock seconds by what they were spent on; `processor` is seconds of all cores and `peak` is
    resident memory in MB, both of the whole process, the files that it maps included.
    """

    row: str
    variant: str
    round: int
    seconds: dict[str, float]
    processor: float
    peak: float


@dataclass(frozen=True)
class NotRun:
    """Why a variant has no measurement in a row."""

    row: str
    variant: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """Median and range (minimum to maximum) of some runs."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Of one value or more."""
        known = list(values)
        return cls(statistics.median(known), min(known), max(known), len(known))


def ratios(runs: Iterable[Run], baseline: str, variant: str, what: str) -> list[float]:
    """How many times faster than `baseline` a variant is, in each round that has both: noise hits all of a round."""
    by_round: dict[int, dict[str, float]] = {}
    for run in runs:
        if what in run.seconds:
            by_round.setdefault(run.round, {})[run.variant] = run.seconds[what]
    return [took[baseline] / took[variant] for took in by_round.values() if baseline in took and variant in took]


class Journal:
    """Runs as lines of JSON in a file, kept as they come, so that an interrupted run can continue.

    A file of another identity (machine, versions, settings) is discarded.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.runs: list[Run] = []
        self.not_run: list[NotRun] = []
        first, *others = self._lines() or [{}]
        if first.get("identity") != dict(identity):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._append({"identity": dict(identity)})
            others = []
        for line in others:
            self._remember(NotRun(**line) if "reason" in line else Run(**line))

    def add(self, entry: Run | NotRun) -> None:
        """Remember it, in the file too."""
        self._remember(entry)
        self._append(asdict(entry))

    def of(self, row: str) -> list[Run]:
        """The runs of a row."""
        return [run for run in self.runs if run.row == row]

    def reason(self, row: str, variant: str) -> str | None:
        """Why a variant was not run; None if nothing speaks against it."""
        return next((entry.reason for entry in self.not_run if (entry.row, entry.variant) == (row, variant)), None)

    def lacks(self, row: str, variant: str, number: int) -> bool:
        """Whether this round of the variant is still to be run."""
        done = any((run.variant, run.round) == (variant, number) for run in self.of(row))
        return not done and self.reason(row, variant) is None

    def _remember(self, entry: Run | NotRun) -> None:
        if isinstance(entry, Run):
            self.runs.append(entry)
        else:
            self.not_run.append(entry)

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        # One that was being written when the process was killed has no end.
        whole = [line for line in self.path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
        self.path.write_text("".join(whole), "utf-8")
        return [json.loads(line) for line in whole]


@dataclass(frozen=True)
class Process:
    """How one process is run: its command, and what is added to its environment."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class RunFailedError(Exception):
    """A process that was to be measured failed; its last words."""


def run_process(process: Process) -> tuple[float, float, float, str]:
    """Run a process to its end.

    The system counts the caller's own peak to a process that it starts, so the peak is never told below that: the
    caller must be small (no torch).

    Returns:
        Wall-clock seconds, processor seconds, peak resident memory in MB (`ru_maxrss`) and its standard output.

    Raises:
        RunFailedError: it did not end with 0.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen(
            process.command, stdout=output, stderr=errors, env={**os.environ, **process.environment}
        )
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        for stream in (output, errors):
            stream.seek(0)
        if child.returncode:
            words = errors.read().strip().splitlines() or ["it said nothing"]
            killed = " (killed, which may be for want of memory)" if child.returncode == -9 else ""
            raise RunFailedError(f"ended with {child.returncode}{killed}: {words[-1]}")
        peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        return wall, usage.ru_utime + usage.ru_stime, peak, output.read()


def measure_rounds(journal: Journal, row: str, variants: Mapping[str, Process], rounds: int) -> None:
    """Run every variant once a round, one after another, until the journal has `rounds` of each.

    A process may print a JSON object of seconds by what they were spent on as its last line; the whole process is
    `total`. A variant that fails is noted as not run and left out from then on.
    """
    for number in range(rounds):
        for variant, process in variants.items():
            if not journal.lacks(row, variant, number):
                continue
            try:
                wall, processor, peak, output = run_process(process)
            except RunFailedError as error:
                journal.add(NotRun(row, variant, str(error)))
                print(f"{row}, {variant}: {error}", flush=True)
                continue
            last = (output.strip().splitlines() or [""])[-1]
            spent = json.loads(last) if last.startswith("{") else {}
            run = Run(row, variant, number, {"total": wall, **spent}, processor, peak)
            journal.add(run)
            told = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in run.seconds.items())
            print(f"{row}, {variant}, round {number + 1} of {rounds}: {told}, {peak:.0f} MB", flush=True)
