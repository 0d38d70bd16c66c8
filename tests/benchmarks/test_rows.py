"""The rows on a CPU: processes at a tiny size of the released form, and the tables and verdicts made of runs."""

import math
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_table, osc, tables
from benchmarks.__main__ import blocks
from benchmarks.full_size import Part, Variant
from benchmarks.gpu_table import Record, Row, Stage, Way
from benchmarks.machine import has_bf16
from benchmarks.measure import Journal, NotRun, Process, Run, Summary, run_process
from benchmarks.page import write_blocks
from benchmarks.rows import (
    AUTO,
    BRIDGE,
    OSC,
    PARTS,
    REPOSITORY,
    START_UP,
    WHOLE,
    clip_row,
    measure_draft,
    measure_released,
)
from support.released_form import write_config

STEPS = 24


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Two rounds, of which the second took twice as long for everybody."""
    journal = Journal(tmp_path / "journal.jsonl", {})
    speeds = {Variant.TORCH_FP32: 5.0, Variant.ONNXRUNTIME: 2.5, Variant.OPENVINO_F32: 2.0, Variant.OPENVINO_BF16: 1.0}
    for number, noise in enumerate((1, 2)):
        for variant, step in speeds.items():
            spent = {Part.OPEN: 1.0, Part.STEP: noise * step, Part.DECODE: noise * 2 * step}
            journal.add(Run(PARTS, variant, number, {str(part): took for part, took in spent.items()}, 9.0, 5000.0))
    journal.add(Run(WHOLE, Variant.OPENVINO_BF16, 0, {"whole": 26.0}, 50.0, 9000.0))
    journal.add(NotRun(PARTS, Variant.TORCH_BF16, "the processor has no bfloat16"))
    for row, seconds, peak in ((START_UP, 2.0, 500.0), (clip_row(10), 2.5, 700.0), (clip_row(60), 20.0, 800.0)):
        for number in range(2):
            journal.add(Run(row, AUTO, number, {"total": seconds}, 2 * seconds, peak))
    for number, took in enumerate((0.012, 0.018)):
        journal.add(
            Run(OSC, BRIDGE, number, {osc.ACCEPTED: took, osc.MAX_ACCEPTED: 0.03, osc.ANSWERED: 1.1}, 1.0, 100.0)
        )
    journal.add(Run(clip_row(600), AUTO, 0, {"total": 230.0}, 460.0, 820.0))
    return journal


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {line[0]: line[1:] for line in lines}


def test_the_released_table_has_ratios_within_rounds_and_says_what_was_not_run(journal: Journal) -> None:
    rows = rows_of(tables.released_table(journal, STEPS))
    step, faster = rows[Variant.OPENVINO_BF16][1:3]
    assert step == "1.50 (1.00–2.00)"
    assert faster == "5.00 (5.00–5.00)"
    assert rows[Variant.OPENVINO_BF16][5] == "39.0 (26.0–52.0)"  # 24 steps and a decoding of two
    assert rows[Variant.TORCH_BF16][0] == "not run: the processor has no bfloat16"


def test_verdicts_follow_the_measurements(journal: Journal) -> None:
    seconds = Summary(0.08, 0.079, 0.09, 7)
    gpu = Record({}, (Row(Stage.FEATURES_TO_SOUND, Way.COMPILED_GRAPH, seconds),))
    rows = rows_of(tables.wanted_table(journal, STEPS, gpu))
    verdicts = {goal: cells[1] for goal, cells in rows.items()}
    assert verdicts == {
        tables.FASTER.goal: "reached",
        tables.MEMORY.goal: "not reached",  # 9000 MB
        tables.SPEED.goal: "reached",  # 4 times real time
        tables.START.goal: "reached",
        tables.PEAK.goal: "reached",
        tables.CONSTANT.goal: "reached",
        tables.LINEAR.goal: "not reached",  # 11.5 times
        tables.ASKED.goal: "reached",  # 15 ms
        tables.QUEUED.goal: "not reached",  # 1.1 s
        tables.FEATURES.goal: "reached",
        tables.VIDEO.goal: "",
    }
    assert rows[tables.VIDEO.goal][0].startswith("not run")


def test_the_bridges_table_is_in_milliseconds(journal: Journal) -> None:
    assert rows_of(tables.osc_table(journal))[osc.ACCEPTED] == ["15.0 (12.0–18.0)"]


def test_nothing_measured_is_no_verdict(tmp_path: Path) -> None:
    empty = Journal(tmp_path / "journal.jsonl", {})
    rows = rows_of(tables.wanted_table(empty, STEPS, gpu_table.not_run("no GPU here")))
    assert all(cells[0].startswith("not run") and cells[1] == "" for cells in rows.values())


@pytest.mark.slow
def test_every_variant_is_measured_at_a_tiny_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.prepare import MODEL, write_model  # noqa: PLC0415 - needs transformers
    from trt_engine.bundling.export import export_model  # noqa: PLC0415

    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OMNIAUDIO_MODELS", str(tmp_path))
    export_model(write_model(write_config(tmp_path / "config.json"), tmp_path))
    journal = Journal(tmp_path / "journal.jsonl", {})
    measure_released(journal, tmp_path / MODEL, rounds=2)
    for variant in Variant:
        if variant.needs_bf16 and not has_bf16():
            assert journal.reason(PARTS, variant) == "the processor has no bfloat16"
            # It computes all the same, slowly.
            command = [sys.executable, "-m", "benchmarks.full_size", variant, "parts", str(tmp_path / MODEL)]
            assert run_process(Process(command))[3].startswith("{")
            continue
        assert journal.reason(PARTS, variant) is None
        runs = [run for run in journal.of(PARTS) if run.variant == variant]
        assert [run.round for run in runs] == [0, 1]
        assert all(run.seconds.keys() == {"total", "open", "step", "decode"} for run in runs)
        (whole,) = (run for run in journal.of(WHOLE) if run.variant == variant)
        assert math.isfinite(whole.seconds["whole"])


@pytest.mark.slow
def test_the_draft_is_measured_by_its_whole_command(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", {})
    measure_draft(journal, "draft", 1, (1, 2, 3))
    assert journal.not_run == []
    assert len(journal.runs) == 3 + 3 + 1 + 1
    assert all(100 < run.peak < 4000 for run in journal.runs)


def test_the_page_holds_every_table(journal: Journal, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    made = blocks(journal, STEPS, gpu_table.not_run("no GPU here"), {"processor": "one"})
    write_blocks(page, "Benchmarks", made)
    text = page.read_text()
    assert text.count("<!-- generated: ") == text.count("<!-- end: ") == 6
    assert all(name in text for name in (*Variant, *Way, AUTO, osc.ACCEPTED, "| processor | one |"))
