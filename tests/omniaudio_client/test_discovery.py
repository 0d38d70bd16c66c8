"""Service processes that misbehave; the tests of blender_addon and osc_bridge start good ones."""

import re
import sys
import time
from pathlib import Path

import pytest

from omniaudio.errors import ExitCode
from omniaudio_client import discovery
from omniaudio_client.discovery import IN_USE, SERVICE_FAILED, ServiceProcess, log_of
from omniaudio_client.http import ServiceError


def child(folder: Path, script: str) -> ServiceProcess:
    """Start a child, and wait until it has ended or printed `ready`."""
    started = ServiceProcess([sys.executable, "-c", script], folder, [])
    deadline = time.monotonic() + 20
    while started.exit_code is None and b"ready" not in (folder / "start.log").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started


def test_the_exit_code_of_a_folder_in_use_is_the_services() -> None:
    assert ExitCode.IN_USE == IN_USE


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise MemoryError('too much')", "exit code 1.*MemoryError: too much$"),
        ("import sys; sys.stdout.buffer.write(bytes(range(128, 256)))", "exit code 0"),
        ("print('╭─ Error ─╮\\n│ No such command. │\\n╰─────────╯\\n'); raise SystemExit(2)", "2.*: No such command.$"),
        ("raise SystemExit(3)", "exit code 3.*it printed nothing$"),
    ],
)
def test_the_epitaph_is_its_last_line(script: str, words: str, tmp_path: Path) -> None:
    child(tmp_path, "print('of an earlier one')")
    epitaph = child(tmp_path, script).epitaph()
    assert re.search(words, epitaph.message)
    assert epitaph.code == SERVICE_FAILED


def test_the_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_MAX_LOG_BYTES", 1000)
    child(tmp_path, "print('x' * 2000)")
    assert "ends" in child(tmp_path, "print('ends')").epitaph().message
    assert (tmp_path / "start.log").read_bytes().strip() == b"ends"
    assert log_of(tmp_path) == tmp_path / "start.log"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("ignores", [False, True])
def test_stopping_also_ends_one_that_ignores_the_signal(ignores: bool, tmp_path: Path) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if ignores else ""
    running = child(tmp_path, f"import signal, time; {ignore} print('ready', flush=True); time.sleep(60)")
    begin = time.monotonic()
    running.stop(0.5)
    assert time.monotonic() - begin < 5
    assert running.exit_code == (-9 if ignores else -15)
    running.stop()  # one that has ended


def test_a_failed_start_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command, folder in ((str(tmp_path), tmp_path), (sys.executable, tmp_path / "file")):
        with pytest.raises(ServiceError, match="could not be started") as refusal:
            ServiceProcess([command], folder, [])
        assert refusal.value.code == SERVICE_FAILED
