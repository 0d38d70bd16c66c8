"""A bridge without --service: the user's own service is found, or started, kept running and ended with the bridge."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omniaudio_client.discovery import find
from omniaudio_client.http import UNREACHABLE, ServiceError
from osc_bridge.own_service import OwnService
from support.daw import Daw, free_port

OSC = [sys.executable, "-m", "omniaudio.cli", "osc"]
QUICK = '{"duration": 0.5, "steps": 2, "model": "draft"}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own service."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "omniaudio" / "service"


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def bridging(folder: Path, *more: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A bridge and its port; the bridge is killed at the end if it still runs."""
    port = free_port()
    ledger = str(folder.parents[2] / "osc.sqlite3")
    words = [*OSC, "--port", str(port), "--ledger", ledger, *more]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process, port
        process.kill()


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "service.json").read_bytes())["pid"])


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def generated(daw: Daw, name: str, clip: Path) -> bool:
    daw.send("generate", name, str(clip), QUICK)
    while (heard := daw.hear("done", "fail")).arguments[0] != name:
        continue  # an end that is repeated
    return heard.address.endswith("done")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_service_is_started_and_restarted_and_ends_with_the_bridge(folder: Path, clip: Path) -> None:
    with bridging(folder, "--allow-root", str(clip.parent)) as (bridge, port):
        assert "started one at http://127.0.0.1:" in line_of(bridge)
        assert "listens" in line_of(bridge)
        daw = Daw(port)
        assert generated(daw, "first", clip)
        killed = pid_of(folder)
        os.kill(killed, 9)
        assert generated(daw, "second", clip)
        assert "started one at http://127.0.0.1:" in line_of(bridge)
        assert pid_of(folder) != killed
        bridge.kill()  # its service stays for a while
        bridge.wait()
    left = pid_of(folder)
    with bridging(folder) as (bridge, port):
        assert "listens" in line_of(bridge)  # it was found
        Daw(port).send("ping")
        bridge.terminate()
        assert bridge.wait(20) == 0
    assert runs(left)  # another program has started it
    os.kill(left, 15)
    until(lambda: not (folder / "service.json").exists())
    with bridging(folder) as (bridge, _):
        assert "started one" in line_of(bridge)
        assert "listens" in line_of(bridge)
        own = pid_of(folder)
        bridge.terminate()
        assert bridge.wait(20) == 0
        until(lambda: not runs(own))


@pytest.mark.slow
def test_another_programs_json_is_not_mixed_with_messages(folder: Path) -> None:
    words = [*OSC, "--child", "--port", str(free_port()), "--ledger", str(folder.parents[2] / "osc.sqlite3")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "listening"
        assert find(folder).health().service == "omniaudio"
        _, said = process.communicate(timeout=30)  # which closes its standard input
    assert b"started one" in said
    assert not (folder / "service.json").exists()


def test_a_service_that_does_not_start_ends_the_bridge_with_its_last_words(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("no folder")
    ran = subprocess.run([*OSC, "--port", str(free_port())], capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 1
    (message,) = ran.stderr.splitlines()
    assert "could not be started" in message
    assert str(folder) in message


def test_a_service_that_fails_is_not_restarted_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    broken = [sys.executable, "-c", "raise SystemExit('its last words')"]
    service = OwnService(tmp_path, [], said.append, broken)
    for _ in range(3):
        with pytest.raises(ServiceError, match="its last words") as refusal:
            service.client()
        assert refusal.value.code == UNREACHABLE
    assert (tmp_path / "start.log").read_text().split("\n") == ["its last words", ""]
    assert said == []
    service.close()
    with pytest.raises(ServiceError, match="The bridge has ended"):
        service.client()
