"""`omniaudio serve` as a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from omniaudio.errors import UserError
from omniaudio_client.discovery import find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, PathSource
from support.connected_blender import ConnectedBlender
from trt_engine.commands.serve import serve
from trt_engine.service.settings import ADDRESS, TOKEN

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def command(*options: str | Path) -> list[str]:
    return [sys.executable, "-m", "omniaudio.cli", "serve", *map(str, options)]


def refusal(*options: str | Path) -> str:
    """What `omniaudio serve` says when it does not start."""
    ended = subprocess.run(command(*options), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode not in (0, 2)
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1  # one message, no trace
    return ended.stderr


@contextmanager
def running(folder: Path, *options: str | Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str | int]]]:
    """A service and what it tells clients of itself."""
    output = subprocess.PIPE
    with subprocess.Popen(command("--folder", folder, "--port", "0", *options), stdout=output, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not (folder / ADDRESS).exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process, json.loads((folder / ADDRESS).read_text())
        finally:
            process.kill()


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_from_start_to_end(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as (process, address):
        assert address == {"url": address["url"], "pid": process.pid, "version": version("omniaudio-blender")}
        with urlopen(f"{address['url']}/v1/health", timeout=10) as answer:
            assert json.load(answer)["service"] == "omniaudio"
        process.send_signal(number)
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert told.splitlines() == [
        f"OmniAudio listens on {address['url']}",
        f"Token file: {tmp_path / TOKEN}",
    ]
    assert not (tmp_path / ADDRESS).exists()


@pytest.mark.slow
def test_a_second_service_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as (_, address):
        assert f"Another service already uses {tmp_path}" in refusal("--folder", tmp_path, "--port", "0")
        assert json.loads((tmp_path / ADDRESS).read_text()) == address


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1, port {port}, cannot be used" in refusal("--folder", tmp_path, "--port", str(port))


@pytest.mark.slow
def test_a_device_that_does_not_answer_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    message = refusal("--folder", tmp_path / "service", "--device", "cpu", "--device", "cuda:7")
    assert message.startswith("The device cuda:7 does not answer: ")
    assert not (tmp_path / "service").exists()


LINGER = 2.0


@pytest.mark.slow
def test_it_lingers_while_a_blender_is_connected(tmp_path: Path) -> None:
    with running(tmp_path, "--linger", str(LINGER)) as (process, _):
        client = find(tmp_path)
        with ConnectedBlender(client, "one.blend"), ConnectedBlender(client, "two.blend") as two:
            time.sleep(1.5 * LINGER)
            two.leave()
            time.sleep(1.5 * LINGER)
            assert process.poll() is None, "the other one is still there"
        began = time.monotonic()
        assert process.wait(30) == 0
        assert time.monotonic() - began > LINGER / 2
    assert not (tmp_path / ADDRESS).exists()


@pytest.mark.slow
def test_it_lingers_while_a_job_runs(tmp_path: Path, still: Path) -> None:
    with running(tmp_path, "--linger", "1", "--allow-root", still.parent) as (process, _):
        client = find(tmp_path)
        request = GenerateRequest(
            PathSource(str(still)),
            duration=1,
            options=GenerationOptions(model="draft", steps=60, preview=False, map=False),
        )
        job = client.create(request)
        # Nobody asks meanwhile.
        assert process.wait(120) == 0
    with running(tmp_path, "--allow-root", still.parent):
        assert find(tmp_path).job(job.id).state == "done"


@pytest.mark.slow
def test_a_service_that_nobody_comes_to_ends(tmp_path: Path) -> None:
    with running(tmp_path, "--linger", "0.5") as (process, _):
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "0.0.0.0", "token": False}, "Beyond this machine a token is required"),
        ({"host": "not a host"}, "cannot be used"),
        ({"port": 65536}, "Correct --port: input should be less than or equal to 65535"),
        ({"device": ["tpu"]}, "Correct --device: string should match"),
        ({"device": ["cpu", "cpu"]}, "name each device only once"),
        ({"idle_minutes": 0}, "Correct --idle-minutes: input should be greater than 0"),
        ({"linger": 0}, "Correct --linger: input should be greater than 0"),
        ({"max_minutes": -1}, "Correct --max-minutes: "),
        ({"idle_minutes": float("inf")}, "Correct --idle-minutes: input should be a finite number"),
        ({"max_minutes": float("inf")}, "Correct --max-minutes: input should be a finite number"),
        ({"keep_days": float("nan")}, "Correct --keep-days: "),
        ({"keep_days": 1e6}, "Correct --keep-days: input should be less than or equal to 36500"),
        ({"allow_root": [Path("missing")]}, "There is no folder missing: name another one with --allow-root"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        serve(**{"folder": tmp_path, "port": 0, **options})
