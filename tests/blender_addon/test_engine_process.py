"""Which program is the engine, and a child that does not behave; that a good one does is tested in test_engine.py."""

import re
import sys
import time
from pathlib import Path

import pytest

from blender_addon import engine_process
from blender_addon.engine_process import ENGINE_FAILED, NO_PROGRAM, EngineProcess, find_program
from blender_addon.errors import UserError


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def child(folder: Path, script: str) -> EngineProcess:
    """A child that has ended, or said `ready`."""
    started = EngineProcess([sys.executable, "-c", script], folder)
    deadline = time.monotonic() + 20
    while started.exit_code is None and b"ready" not in (folder / "start.log").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started


def test_the_program_is_found_by_preference_then_environment_then_path(tmp_path: Path) -> None:
    for name in ("omniaudio", "python3.11", "own-command"):
        program(tmp_path / name)
    on_path = {"PATH": str(tmp_path)}
    named = {**on_path, "OMNIAUDIO_PYTHON": str(tmp_path / "python3.11")}
    assert find_program(str(tmp_path / "own-command"), named) == [str(tmp_path / "own-command")]
    assert find_program("", named) == [str(tmp_path / "python3.11"), "-m", "omniaudio.cli"]
    assert find_program(" ", on_path) == [str(tmp_path / "omniaudio")]
    with pytest.raises(UserError, match="no command 'omniaudio' is on the search path") as refusal:
        find_program("", {"PATH": ""})
    assert refusal.value.code == NO_PROGRAM
    with pytest.raises(UserError, match="'/no/python' is no program"):
        find_program("/no/python", on_path)


@pytest.mark.parametrize("inside", [".venv/bin/python", "venv/bin/python", "bin/python", ".venv/Scripts/python.exe"])
def test_a_folder_stands_for_the_environment_in_it(inside: str, tmp_path: Path) -> None:
    python = program(tmp_path / "Ö folder" / inside)
    assert find_program(str(tmp_path / "Ö folder")) == [str(python), "-m", "omniaudio.cli"]
    with pytest.raises(UserError, match="is no program"):
        find_program(str(tmp_path))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise MemoryError('too much')", "exit code 1.*MemoryError: too much$"),
        ("import sys; sys.stdout.buffer.write(bytes(range(128, 256)))", "exit code 0"),
        ("print('╭─ Error ─╮\\n│ No such command. │\\n╰─────────╯\\n'); raise SystemExit(2)", "2.*: No such command.$"),
        ("raise SystemExit(3)", "exit code 3.*it said nothing$"),
    ],
)
def test_the_epitaph_is_its_own_last_words(script: str, words: str, tmp_path: Path) -> None:
    child(tmp_path, "print('of an earlier one')")
    epitaph = child(tmp_path, script).epitaph()
    assert re.search(words, epitaph.sentence)
    assert epitaph.code == ENGINE_FAILED


def test_the_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "_MOST_LOG_BYTES", 1000)
    child(tmp_path, "print('x' * 2000)")
    assert "ends" in child(tmp_path, "print('ends')").epitaph().sentence
    assert (tmp_path / "start.log").read_bytes().strip() == b"ends"
    assert engine_process.log_of(tmp_path) == tmp_path / "start.log"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("ignores", [False, True])
def test_stopping_ends_one_that_ignores_it_too(ignores: bool, tmp_path: Path) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if ignores else ""
    running = child(tmp_path, f"import signal, time; {ignore} print('ready', flush=True); time.sleep(60)")
    begin = time.monotonic()
    running.stop(0.5)
    assert time.monotonic() - begin < 5
    assert running.exit_code == (-9 if ignores else -15)
    running.stop()  # one that has ended


def test_what_cannot_be_started_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command, folder in ((str(tmp_path), tmp_path), (sys.executable, tmp_path / "file")):
        with pytest.raises(UserError, match="could not be started") as refusal:
            EngineProcess([command], folder)
        assert refusal.value.code == ENGINE_FAILED
