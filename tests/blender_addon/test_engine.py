"""The protocol between Blender and the engine, and what happens when the engine does not keep to it.

The child processes here are scripts of a few lines that misbehave; that the real engine keeps to the protocol is
tested where it runs in Blender, in `in_blender/test_generate.py`.
"""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from blender_addon.engine import Done, Engine, Event, Failed, Progress, Request, Take, find_engine, parse_event
from blender_addon.errors import UserError

PATIENCE = 20.0  # seconds; what is waited for comes at once


def run(script: str) -> list[Event]:
    """Everything that a child with this script says."""
    with Engine([sys.executable, "-c", script], []) as engine:
        events: list[Event] = []
        deadline = time.monotonic() + PATIENCE
        while not engine.ended and time.monotonic() < deadline:
            events += engine.events()
            time.sleep(0.01)
        assert engine.ended
    return events


def test_events_are_read_and_noise_between_them_is_not() -> None:
    files = '{"sound": "a.wav", "preview": "p.wav", "map": null, "sidecar": "a.json", "x": 1}'
    done = f'{{"event": "done", "model": "m", "backend": "b", "takes": [{files}]}}'
    lines = [
        "a library greets",
        '{"event": "progress", "stage": "vision", "fraction": 1.5, "seconds_left": 3}',
        '{"event": "progress", "stage": "half a line',
        '{"event": "of a later version"}',
        "[1]",
        '{"event": "progress", "stage": "sampling", "fraction": 0.5, "seconds_left": null}',
        done,
    ]
    take = Take(Path("a.wav"), Path("p.wav"), None, Path("a.json"))
    assert run(f"print({chr(10).join(lines)!r})") == [
        Progress("vision", 1.0, 3.0),
        Progress("sampling", 0.5),
        Done((take,), "m", "b"),
    ]


def test_an_error_of_the_engine_is_its_sentence() -> None:
    line = '{"event": "error", "sentence": "The file is no video.", "code": 4}'
    assert run(f"print({line!r}); raise SystemExit(4)") == [Failed("The file is no video.")]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise MemoryError('too much')", "exit code 1.*MemoryError: too much"),
        ("print('goodbye')", "exit code 0.*goodbye"),
        ("import sys; sys.stdout.buffer.write(bytes(range(128, 256)))", "exit code 0"),
        (
            "import sys; sys.stderr.write('╭─ Error ─╮\\n│ No such command. │\\n╰─────────╯\\n'); sys.exit(2)",
            "exit code 2.*: No such command.$",
        ),
        ("raise SystemExit(3)", "exit code 3.*it said nothing"),
    ],
)
def test_an_engine_that_ends_without_a_result_is_a_failure_with_its_last_words(script: str, words: str) -> None:
    (event,) = run(script)
    assert isinstance(event, Failed)
    assert re.search(words, event.sentence)
    assert "\n" not in event.sentence


def test_reading_does_not_wait_and_much_noise_does_not_block_the_engine() -> None:
    script = "import sys, time; sys.stderr.write('x' * 1_000_000); print('{', flush=True); time.sleep(60)"
    with Engine([sys.executable, "-c", script], []) as engine:
        begin = time.monotonic()
        assert engine.events() == []
        assert time.monotonic() - begin < 1.0
        assert not engine.ended


@pytest.mark.skipif(sys.platform == "win32", reason="processes are looked up the POSIX way")
@pytest.mark.parametrize("ignores", [False, True])
def test_leaving_ends_the_child_even_one_that_ignores_the_signal(
    ignores: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blender_addon.engine.SECONDS_TO_STOP", 0.5)
    mark = tmp_path / "pid"
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN);" if ignores else ""
    script = f"import os, signal, time; {ignore} open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with Engine([sys.executable, "-c", script], []):
        deadline = time.monotonic() + PATIENCE
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_a_command_that_cannot_be_started_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be started"):
        Engine([str(tmp_path)], [])


def test_the_engine_is_found_by_preference_then_environment_then_path(tmp_path: Path) -> None:
    for name in ("omniaudio", "python3.11", "own-command"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    on_path = {"PATH": str(tmp_path)}
    named = {**on_path, "OMNIAUDIO_PYTHON": str(tmp_path / "python3.11")}
    assert find_engine(str(tmp_path / "own-command"), named) == [str(tmp_path / "own-command")]
    assert find_engine("", named) == [str(tmp_path / "python3.11"), "-m", "omniaudio.cli"]
    assert find_engine(" ", on_path) == [str(tmp_path / "omniaudio")]
    with pytest.raises(UserError, match="no command 'omniaudio' is on the search path"):
        find_engine("", {"PATH": ""})
    with pytest.raises(UserError, match="'/no/python' is no program"):
        find_engine("/no/python", on_path)


def test_a_request_leaves_to_the_engine_what_is_not_chosen() -> None:
    request = Request(Path("in.mp4"), Path("out.wav"), 1 / 3, 10.0, 7)
    words = request.arguments()
    assert words[:3] == ["generate", "in.mp4", "--output"]
    assert float(words[words.index("--start") + 1]) == pytest.approx(1 / 3, abs=1e-9)
    assert "--model" not in words
    assert "--backend" not in words
    assert "--force" not in words


def test_a_take_without_its_sidecar_is_no_event() -> None:
    assert parse_event('{"event": "done", "model": "m", "backend": "b", "takes": [{"sound": "a.wav"}]}') is None
