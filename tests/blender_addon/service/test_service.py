"""The extension's one service: the real service, found or started, watched, started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from blender_addon.core.errors import UserError
from blender_addon.service import service_watch
from blender_addon.service.known_backends import kept
from blender_addon.service.service import Service
from blender_addon.service.service_program import NO_PROGRAM
from blender_addon.service.service_watch import ServiceChoice
from omniaudio_client.discovery import SERVICE_FAILED
from omniaudio_client.http import ServiceError
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, PathSource, SceneSource

PATIENCE = 60.0
AT_ONCE = 0.2
A_BLENDER = Path(__file__).with_name("a_blender.py")

Here = Callable[[], Service]


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "service.json").read_bytes())["pid"])


def services(folder: Path) -> list[int]:
    """The services on a folder, by their process ids."""
    psutil = pytest.importorskip("psutil")
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in (words := process.info["cmdline"] or []) and "serve" in words
    ]


@contextmanager
def blender(folder: Path, linger: int = 60) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(A_BLENDER), str(folder), sys.executable, str(linger)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def told(process: "subprocess.Popen[str]") -> dict[str, object]:
    assert process.stdout is not None
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str | None]]]:
    """A server that answers everything so; its address, and the tokens that it was told."""
    tokens: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", tokens
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_is_started_on_demand_found_by_others_and_ends_with_the_last(here: Here, tmp_path: Path) -> None:
    first, second = here(), here()
    assert first.state.kind == "off"
    begin = time.monotonic()
    first.wake()
    assert time.monotonic() - begin < AT_ONCE
    url = first.client().url
    assert (first.state.kind, first.state.started_here, first.state.default) == ("ready", True, "draft")
    assert "draft" in [model.name for model in first.state.models]
    assert first.log.is_file()
    until(lambda: "onnxruntime" in [one.name for one in first.state.backends])
    assert kept(tmp_path / "service") == first.state.backends
    assert second.client().url == url
    assert not second.state.started_here
    second.announce("wäld.blend")
    until(lambda: {one.name for one in first.client().blenders()} == {"untitled", "wäld.blend"})

    first.stop()  # the second one still uses it
    assert first.state.kind == "off"
    assert second.client().health()
    assert len(services(tmp_path / "service")) == 1

    pid = pid_of(tmp_path / "service")
    second.stop()  # has not started it, so it lingers
    os.kill(pid, signal.SIGTERM)
    until(lambda: not services(tmp_path / "service"))


@pytest.mark.slow
def test_it_ends_with_the_blender_that_has_started_it(here: Here, tmp_path: Path) -> None:
    service = here()
    service.client()
    begin = time.monotonic()
    service.stop()
    assert time.monotonic() - begin < 10
    assert services(tmp_path / "service") == []
    service.client()  # may be used again
    assert service.state.kind == "ready"


@pytest.mark.slow
def test_of_blenders_that_start_at_once_one_starts_it_and_it_outlives_their_crash(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    folder = tmp_path / "service"
    with blender(folder, linger=4) as one, blender(folder, linger=4) as two, blender(folder, linger=4) as three:
        answers = [told(process) for process in (one, two, three)]
        assert len({answer["url"] for answer in answers}) == 1
        until(lambda: len(services(folder)) == 1)
        for process in (one, two, three):
            process.kill()
    with blender(folder) as back:
        assert told(back) == {"url": answers[0]["url"], "started_here": False}
        back.kill()
    until(lambda: not services(folder))  # nobody has come back


@pytest.mark.slow
def test_one_that_is_killed_is_restarted(here: Here, tmp_path: Path) -> None:
    service = here()
    url = service.client().url
    pid = pid_of(tmp_path / "service")
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.state.kind == "waiting")
    assert "ended by itself (exit code -9)" in service.state.message
    until(lambda: service.state.kind == "ready")
    assert service.client().health()
    assert service.client().url != url or pid_of(tmp_path / "service") != pid


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_one_that_does_not_start_is_retried_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_watch, "PAUSES_SECONDS", (0.1, 0.2, 0.4))
    program = tmp_path / "omniaudio"
    program.write_text(f"#!/bin/sh\ndate +%s.%N >> {tmp_path}/starts\necho 'no libraries here' >&2\nexit 3\n")
    program.chmod(0o755)
    service = Service(tmp_path / "service")
    service.configure(ServiceChoice(program=str(program)))
    with pytest.raises(UserError, match=r"exit code 3\); its last line was: no libraries here") as refusal:
        service.client()
    assert refusal.value.code == SERVICE_FAILED
    until(lambda: service.state.kind == "failed")
    times = [float(line) for line in (tmp_path / "starts").read_text().split()]
    assert len(times) == 4
    assert all(
        later - earlier >= pause for earlier, later, pause in zip(times, times[1:], (0.1, 0.2, 0.4), strict=False)
    )
    service.wake()  # a new attempt
    until(lambda: len((tmp_path / "starts").read_text().split()) > 4)
    service.stop()
    assert service.state.kind == "off"


def test_no_program_is_a_failure_that_is_not_retried(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.configure(ServiceChoice(program="/no/program"))
    with pytest.raises(UserError, match="'/no/program' is not a program"):
        service.client()
    assert (service.state.kind, service.state.code) == ("failed", NO_PROGRAM)


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_nothing_but_client_and_stop_waits(tmp_path: Path) -> None:
    program = tmp_path / "omniaudio"
    program.write_text("#!/bin/sh\ntrap '' TERM\nexec sleep 60\n")
    program.chmod(0o755)
    service = Service(tmp_path / "service")
    begin = time.monotonic()
    service.configure(ServiceChoice(program=str(program)))
    service.wake()
    service.announce("a.blend")
    assert service.state.kind == "starting"
    until(lambda: service.state.started_here)
    middle = time.monotonic()
    service.configure(ServiceChoice(address="http://127.0.0.1:1"))
    service.wake()
    assert service.state.kind in ("starting", "waiting")
    assert middle - begin < 2
    assert time.monotonic() - middle < AT_ONCE
    service.stop()


def test_a_service_elsewhere_needs_its_token(here: Here, tmp_path: Path) -> None:
    own = here()
    url = own.client().url
    token = (tmp_path / "service" / "token").read_text().strip()
    other = Service(tmp_path / "other")
    for wrong in ("", "wrong"):
        other.configure(ServiceChoice(address=url, token=wrong))
        with pytest.raises(UserError) as refusal:
            other.client()
        assert refusal.value.code == "unauthorized"
        assert other.state.kind == "failed"
    other.configure(ServiceChoice(address=url, token=token))
    assert other.client().health()
    assert not other.state.started_here
    other.stop()
    assert own.client().health()


@pytest.mark.slow
def test_who_answers_nothing_is_asked_repeatedly_until_it_does(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_watch, "PAUSES_SECONDS", (0.2,))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    other = Service(tmp_path / "other")
    other.configure(ServiceChoice(address=f"http://127.0.0.1:{port}"))
    with pytest.raises(UserError, match="No service answers at") as refusal:
        other.client()
    assert refusal.value.code == "unreachable"
    until(lambda: other.state.kind == "waiting")
    words = [sys.executable, "-m", "omniaudio.cli", "serve", "--no-token", "--port", str(port), "--folder"]
    with subprocess.Popen([*words, str(tmp_path / "service")], stdout=subprocess.DEVNULL) as service:
        until(lambda: other.state.kind == "ready")
        other.stop()
        service.terminate()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"service": "omniaudio", "api": 2, "version": "9"}', "speaks version 2 of the API, this client 1"),
        (200, b"<html>", "not as this version of OmniAudio's service"),
        (200, b'{"service": "other", "api": 1, "version": "9"}', "not as this version of OmniAudio's service"),
        (404, b"", "not as this version of OmniAudio's service"),
    ],
)
def test_who_is_no_service_or_another_version_of_it_is_told_so(
    status: int, body: bytes, words: str, tmp_path: Path
) -> None:
    with answering(status, body) as (url, _):
        service = Service(tmp_path)
        service.configure(ServiceChoice(address=url, token="secret"))
        with pytest.raises(UserError, match=words) as refusal:
            service.client()
        assert refusal.value.code == "foreign"
        assert service.state.kind == "failed"


def test_an_service_of_another_version_on_the_own_folder_is_not_joined(here: Here, tmp_path: Path) -> None:
    filelock = pytest.importorskip("filelock")
    folder = tmp_path / "service"
    folder.mkdir()
    with answering(200, b'{"service": "omniaudio", "api": 2, "version": "9"}') as (url, tokens):
        (folder / "service.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
        (folder / "token").write_text("0" * 43)
        (folder / "token").chmod(0o600)
        with filelock.FileLock(folder / "lock"), pytest.raises(UserError, match="speaks version 2 of the API"):
            here().client()
    assert set(tokens) == {None}


def test_who_has_the_port_of_a_service_that_was_killed_is_told_no_token(here: Here, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    with answering(200, b"{}") as (url, tokens):
        (folder / "service.json").write_text(json.dumps({"url": url, "pid": 1}))
        (folder / "token").write_text("0" * 43)
        (folder / "token").chmod(0o600)
        service = here()
        assert service.client().url != url
    assert tokens
    assert set(tokens) == {None}


def test_another_choice_lets_go_of_the_service(here: Here, tmp_path: Path) -> None:
    service = here()
    service.client()
    service.configure(ServiceChoice(program=sys.executable))  # the same
    assert service.state.kind == "ready"
    service.configure(ServiceChoice(address="http://127.0.0.1:1"))
    assert service.state.kind == "off"
    until(lambda: not services(tmp_path / "service"))


@pytest.mark.slow
def test_jobs_of_others_keep_it_running(here: Here, tmp_path: Path, still: Path) -> None:
    service = here()
    client = service.client()
    job = client.create(
        GenerateRequest(PathSource(str(still)), duration=0.5, options=GenerationOptions(model="draft", steps=1000))
    )
    pid = pid_of(tmp_path / "service")
    service.stop()
    assert services(tmp_path / "service") == [pid]
    assert not client.job(job.id).over
    client.cancel(job.id)
    os.kill(pid, signal.SIGTERM)
    until(lambda: not services(tmp_path / "service"))


def test_a_blender_that_renders_for_nobody_is_asked_for_no_scene(here: Here) -> None:
    service = here()
    client = service.client()
    until(lambda: bool(client.blenders()))
    with pytest.raises(ServiceError, match="No Blender is connected"):
        client.create(GenerateRequest(SceneSource(1, 2)))


def test_another_machine_is_not_spoken_to_where_blender_is_offline(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        service.configure(ServiceChoice(address="http://192.0.2.1:4360", online=False))
        with pytest.raises(UserError, match="Allow Online Access") as refused:
            service.client()
        assert refused.value.code == "offline"
        service.configure(ServiceChoice(address="http://127.0.0.1:1", online=False))
        with pytest.raises(UserError, match="No service answers"):
            service.client()
    finally:
        service.stop()
