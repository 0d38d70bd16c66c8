"""The bridge as another program's child: what it prints, and that nothing waits for a parent that does not read."""

import json
import subprocess
import sys
import time

import pytest

from support.daw import Daw, free_port

COMMAND = [sys.executable, "-m", "omniaudio.cli", "osc", "--child"]


@pytest.fixture
def child(tmp_path):
    """A bridge without a service, and its port."""
    port = free_port()
    words = ["--port", str(port), "--ledger", str(tmp_path / "osc.sqlite3"), "--service-folder", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process, port
        process.kill()


def test_it_prints_lines_of_json_and_ends_with_its_standard_input(child):
    process, port = child
    assert json.loads(process.stdout.readline()) == {"event": "listening", "host": "127.0.0.1", "port": port}
    daw = Daw(port)
    daw.send("ping")
    assert json.loads(process.stdout.readline()) == {"event": "said", "address": "/omniaudio/pong", "arguments": []}
    daw.send("generate_scene", "a")
    said = json.loads(process.stdout.readline())
    assert said["arguments"][:2] == ["a", "unreachable"]
    process.stdin.close()
    assert process.wait(20) == 0


def test_it_says_why_it_ends(tmp_path):
    command = [*COMMAND, "--port", str(free_port()), "--allow-root", str(tmp_path / "missing")]
    ran = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, check=False)
    told = json.loads(ran.stdout)
    assert told["event"] == "error"
    assert "--allow-root" in told["message"]
    assert ran.stderr.strip() == told["message"]


@pytest.mark.slow
def test_a_program_that_does_not_read_blocks_nothing(child):
    """The pipe is full long before the end; until then the newest is printed, a few times a second."""
    fcntl = pytest.importorskip("fcntl")
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        pytest.skip("needs pipes that can be made small, as Linux has them")
    process, port = child
    process.stdout.readline()
    room = fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    daw, asked = Daw(port), 0
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        asked += 1
        daw.send("status", f"{asked:x<64}")
        assert daw.hear("fail", seconds=2).arguments[1] == "not_found"
    process.stdin.close()
    assert process.wait(20) == 0
    printed = process.stdout.read()
    assert room / 2 < len(printed) <= room
    assert printed.count(b"\n") < 50 < asked
