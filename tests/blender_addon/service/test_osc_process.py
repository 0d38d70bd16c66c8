"""The bridge as Blender's child: the real `omniaudio osc`, and a real service for what DAWs ask."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from blender_addon.service.osc_process import OscChoice, OscProcess, as_text
from support.daw import Daw, free_port
from support.panoramas import write_panorama
from support.paths import REPOSITORY
from support.running_service import RunningService

OMNIAUDIO = [sys.executable, "-m", "omniaudio.cli"]
SECONDS = 60.0


def until(true: Callable[[], object], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge finds no service of the user's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def bridges(port: int) -> list[psutil.Process]:
    """The bridges' processes at a port."""
    words = ["osc", "--child", "--port", str(port)]
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(line[place : place + 4] == words for place in range(len(line))):
            found.append(process)
    return found


@pytest.fixture
def osc(tmp_path: Path) -> Iterator[OscProcess]:
    """A bridge that has not been started; ended with the test."""
    process = OscProcess(tmp_path / "öffnen")
    yield process
    process.stop()
    until(lambda: not bridges(process.state.port))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """`omniaudio serve`, which may read what lies under pytest's folder."""
    running = RunningService(tmp_path_factory.mktemp("engine") / "service", tmp_path_factory.getbasetemp())
    running.start()
    yield running
    running.stop()


def listening(osc: OscProcess, choice: OscChoice) -> Daw:
    osc.start(OMNIAUDIO, choice)
    until(lambda: osc.state.kind != "starting")
    assert osc.state.kind == "listening", osc.state
    return Daw(choice.port)


@pytest.mark.slow
def test_what_it_says_last_can_be_read(osc: OscProcess, service: RunningService, tmp_path: Path) -> None:
    clip = write_panorama(tmp_path / "hafen.png")
    choice = OscChoice(free_port(), (tmp_path,), service_folder=service.folder)
    assert osc.state.kind == "off"
    daw = listening(osc, choice)
    daw.send("generate", "a", str(clip), '{"duration": 0.5, "steps": 2}')
    assert daw.hear("done", "fail").address == "/omniaudio/done"
    until(lambda: osc.state.last == "a, take 1: hafen.a.ambix.wav")
    daw.send("generate", "b", "/etc/passwd")
    daw.hear("fail")
    until(lambda: osc.state.last.startswith("b failed: The video does not lie in a folder that the bridge may use"))
    assert osc.state.port == choice.port


@pytest.mark.slow
def test_one_that_was_killed_is_failed_and_the_next_one_goes_on(
    osc: OscProcess, service: RunningService, tmp_path: Path
) -> None:
    clip = write_panorama(tmp_path / "hafen.png")
    choice = OscChoice(free_port(), service_folder=service.folder)
    daw = listening(osc, choice)
    daw.send("generate", "killed", str(clip), '{"duration": 3, "steps": 20}')
    assert daw.hear("accepted", "fail").address == "/omniaudio/accepted"
    (process,) = bridges(choice.port)
    process.kill()
    until(lambda: osc.state.kind == "failed")
    assert "Start it again" in osc.state.message
    listening(osc, choice)
    assert daw.hear("done", "fail").arguments[:2] == ("killed", 1)


def test_stopped_and_restarted_at_once_it_has_its_port_and_ledger(osc: OscProcess) -> None:
    choice = OscChoice(free_port())
    listening(osc, choice)
    before = time.monotonic()
    osc.start(OMNIAUDIO, choice)
    osc.start(OMNIAUDIO, choice)
    assert time.monotonic() - before < 0.5
    until(lambda: osc.state.kind != "starting")
    assert osc.state.kind == "listening", osc.state
    assert len(bridges(choice.port)) == 1
    before = time.monotonic()
    osc.stop()
    assert time.monotonic() - before < 0.5
    assert osc.state.kind == "off"
    until(lambda: is_free(choice.port), seconds=10)


def test_a_port_that_is_taken_is_a_message(osc: OscProcess) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        osc.start(OMNIAUDIO, OscChoice(port))
        until(lambda: osc.state.kind == "failed")
    assert f"127.0.0.1:{port}" in osc.state.message
    assert "choose another port" in osc.state.message


@pytest.mark.slow
def test_a_second_bridge_at_the_same_port_says_that_one_runs(osc: OscProcess, tmp_path: Path) -> None:
    choice = OscChoice(free_port())
    daw = listening(osc, choice)
    second = OscProcess(osc.log.parent)
    second.start(OMNIAUDIO, choice)
    until(lambda: second.state.kind == "failed")
    assert "Another bridge uses" in second.state.message
    daw.send("ping")
    daw.hear("pong")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/no/such/program"], "check the engine in the preferences"),
        ([sys.executable, "-c", "import sys; sys.exit('no such module')"], "(exit code 1): no such module"),
        ([sys.executable, "-c", "print(3); print('{}')"], "(exit code 0)"),
    ],
)
def test_a_program_that_is_no_bridge_is_a_message(osc: OscProcess, command: list[str], said: str) -> None:
    osc.start(command, OscChoice(free_port()))
    until(lambda: osc.state.kind == "failed")
    assert said in osc.state.message


@pytest.mark.slow
def test_it_ends_when_blender_dies(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import sys, time; from pathlib import Path; from blender_addon.service.osc_process import *\n"
        f"OscProcess(Path({str(tmp_path)!r})).start({OMNIAUDIO!r}, OscChoice({port}))\n"
        "time.sleep(600)"
    )
    blender = subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY)
    try:
        until(lambda: not is_free(port))
        (bridge,) = bridges(port)
    finally:
        os.kill(blender.pid, signal.SIGKILL)
        blender.wait()
    bridge.wait(10)


@pytest.mark.parametrize(
    ("address", "arguments", "text"),
    [
        ("/omniaudio/accepted", ["a", "0123"], "a was accepted"),
        ("/omniaudio/progress", ["a", 0.5, "sampling", 3.0], "a: sampling, 50%"),
        ("/omniaudio/fail", ["", "invalid", "There is no such thing."], "There is no such thing."),
        ("/omniaudio/pong", [], "pong"),
        ("/omniaudio/listed", [3], "listed 3"),
        ("/omniaudio/fail", ["a"], "fail a"),
    ],
)
def test_messages_in_words(address: str, arguments: list[object], text: str) -> None:
    assert as_text(address, arguments) == text
