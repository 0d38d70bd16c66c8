"""Statistics, the journal that outlives an interruption, and processes that are measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import (
    Journal,
    NotRun,
    Process,
    Run,
    RunFailedError,
    Summary,
    measure_rounds,
    ratios,
    run_process,
)


def run(variant: str, number: int, seconds: float) -> Run:
    return Run("row", variant, number, {"total": seconds}, seconds, 100.0)


def test_the_ratio_is_taken_within_rounds_so_that_noise_cancels() -> None:
    # The third round was disturbed: both took ten times as long.
    runs = [run("slow", n, s) for n, s in enumerate((4.0, 4.2, 40.0))]
    runs += [run("fast", n, s) for n, s in enumerate((2.0, 2.1, 20.0))]
    assert ratios(runs, "slow", "fast", "total") == pytest.approx([2, 2, 2])
    assert Summary.of(ratios(runs, "slow", "fast", "total")) == Summary(2.0, 2.0, 2.0, 3)


def test_a_round_that_lacks_one_of_the_two_has_no_ratio() -> None:
    runs = [run("slow", 0, 4.0), run("slow", 1, 6.0), run("fast", 1, 2.0)]
    assert ratios(runs, "slow", "fast", "total") == [3.0]
    assert ratios(runs, "slow", "fast", "decode") == []


def test_a_journal_goes_on_where_it_was_and_drops_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, {"machine": "this"})
    journal.add(run("a", 0, 1.5))
    journal.add(NotRun("row", "b", "no such processor"))
    with path.open("a") as file:
        file.write('{"row": "row", "vari')
    repeated = Journal(path, {"machine": "this"})
    assert repeated.runs == [run("a", 0, 1.5)]
    assert not repeated.lacks("row", "a", 0)
    assert repeated.lacks("row", "a", 1)
    assert not repeated.lacks("row", "b", 0)
    assert repeated.reason("row", "b") == "no such processor"
    repeated.add(run("a", 1, 2.5))
    assert [json.loads(line).get("round") for line in path.read_text().splitlines()] == [None, 0, None, 1]


def test_a_journal_of_another_machine_is_discarded(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.jsonl", {"machine": "one"}).add(run("a", 0, 1.5))
    assert Journal(tmp_path / "journal.jsonl", {"machine": "other"}).runs == []


def test_a_process_tells_its_memory_and_what_it_spent(tmp_path: Path) -> None:
    # From a small process, as this one may have become large.
    path = tmp_path / "journal.jsonl"
    caller = f"""
import subprocess
import sys
from pathlib import Path
from benchmarks.measure import Journal, Process, measure_rounds
hungry = "x = bytearray(300_000_000); print('{{\\"work\\": 0.25}}')"
measure_rounds(Journal(Path({str(path)!r}), {{}}), "row", {{"hungry": Process([sys.executable, "-c", hungry])}}, 1)
"""
    subprocess.run([sys.executable, "-c", caller], check=True)
    (measured,) = Journal(path, {}).runs
    assert measured.seconds["work"] == 0.25
    assert 0 < measured.seconds["total"] < 30
    assert 300 < measured.peak < 500


def test_rounds_run_every_variant_once_and_only_what_is_missing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    names = {name: f"open({str(log)!r}, 'a').write({name!r})" for name in "ab"}
    variants = {name: Process([sys.executable, "-c", code]) for name, code in names.items()}
    journal = Journal(tmp_path / "journal.jsonl", {})
    measure_rounds(journal, "row", variants, 2)
    assert log.read_text() == "abab"
    measure_rounds(journal, "row", variants, 3)
    assert log.read_text() == "ababab"


def test_a_variant_that_fails_is_not_run_and_says_why(tmp_path: Path) -> None:
    failing = Process([sys.executable, "-c", "raise SystemExit('there is no such library')"])
    with pytest.raises(RunFailedError, match="ended with 1: there is no such library"):
        run_process(failing)
    journal = Journal(tmp_path / "journal.jsonl", {})
    measure_rounds(journal, "row", {"failing": failing}, 3)
    assert journal.not_run == [NotRun("row", "failing", "ended with 1: there is no such library")]
