"""Clients need a token only if the service requires one; then a message says how to give it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniaudio_client.discovery import find
from support.daw import Daw, free_port
from support.running_service import RunningService

OMNIAUDIO = [sys.executable, "-m", "omniaudio.cli"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has no service of their own, and no token."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("OMNIAUDIO_TOKEN", raising=False)


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that requires no token."""
    running = RunningService(tmp_path_factory.mktemp("open") / "service", tmp_path_factory.getbasetemp(), "--no-token")
    running.start()
    yield running
    running.stop()


def omniaudio(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*OMNIAUDIO, *words], capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_a_service_without_a_token_needs_none_at_any_client(
    open_service: RunningService, clip: Path, tmp_path: Path
) -> None:
    assert not (open_service.folder / "token").exists()
    url = find(open_service.folder).url
    words = ["--service", url, "--duration", "0.5", "--steps", "2", "--model", "draft", "-o", tmp_path / "a.wav"]
    made = omniaudio("generate", clip, *words)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "a.wav").exists()
    listed = omniaudio("jobs", "list", "--service", url)
    assert listed.returncode == 0, listed.stderr
    port, log = free_port(), tmp_path / "bridge.log"
    with log.open("wb") as output:
        words = ["--port", str(port), "--service", url, "--ledger", tmp_path / "osc.sqlite3"]
        bridge = subprocess.Popen([*OMNIAUDIO, "osc", *words], stdout=output, stderr=output)
    options = '{"duration": 0.5, "steps": 2, "model": "draft"}'
    sent = omniaudio("osc-send", clip, "--port", str(port), "--options", options)
    bridge.terminate()
    assert bridge.wait(20) == 0, log.read_text()
    assert "started" not in log.read_text()
    assert sent.returncode == 0, sent.stdout + sent.stderr


@pytest.mark.parametrize("command", [("jobs", "list"), ("osc", "--ledger", "osc.sqlite3")])
@pytest.mark.usefixtures("elsewhere")
def test_the_message_about_a_missing_token_names_the_option(
    command: tuple[str, ...], service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = omniaudio(*command, "--service", find(service.folder).url)
    assert refused.returncode == 1
    (message,) = refused.stderr.splitlines()
    assert "--token-file" in message
    assert "OMNIAUDIO_TOKEN" in message


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_a_token_that_is_required_later_is_a_message_to_the_daw(
    service: RunningService, clip: Path, tmp_path: Path
) -> None:
    """The bridge started first."""
    url, port = find(service.folder).url, free_port()
    service.stop()
    with (tmp_path / "bridge.log").open("wb") as output:
        words = ["--port", str(port), "--service", url, "--ledger", tmp_path / "osc.sqlite3"]
        bridge = subprocess.Popen([*OMNIAUDIO, "osc", *words], stdout=output, stderr=output)
    daw, deadline = Daw(port), time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        daw.send("ping")
        try:
            daw.hear("pong", seconds=0.2)
            break
        except (TimeoutError, ConnectionError):
            continue
    service.start()
    daw.send("generate", "late", str(clip))
    _, code, message = daw.hear("fail").arguments
    bridge.terminate()
    bridge.wait(20)
    assert code == "unauthorized"
    assert "--token-file" in str(message)
