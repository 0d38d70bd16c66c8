"""The service's client against servers that misbehave."""

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omniaudio_client.client import Client
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, PathSource, Progress, ResultFile
from support.client_errors import broken

JOB = {
    "id": "0" * 32,
    "state": "running",
    "request": {"source": {"path": "/clip.mp4"}, "options": {"seed": 7}},
    "created": "2026-01-02T03:04:05.678Z",
    "progress": {"stage": "sampling", "fraction": 1, "seconds_left": None},
}
DONE = JOB | {"state": "done", "progress": None}


class Handler(http.server.BaseHTTPRequestHandler):
    """Records requests, and answers as the test says."""

    server: "Edge"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) if self.server.reads else b""
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        self.server.answer(self)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        pass

    def say(self, status: int, body: object, **headers: object) -> None:
        content = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        self.send_response(status)
        for name, value in ({"Content-Length": len(content)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)


class Edge(http.server.ThreadingHTTPServer):
    daemon_threads = True
    reads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[Handler], None] = lambda handler: handler.say(404, b"")
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Clients disconnect in some tests."""

    def one_after_the_other(self, *answers: Callable[[Handler], None]) -> None:
        """Give these answers in turn, and repeat the last one."""

        def answer(handler: Handler) -> None:
            answers[min(len(self.asked), len(answers)) - 1](handler)

        self.answer = answer


@pytest.fixture
def edge() -> Iterator[Edge]:
    server = Edge()
    yield server
    server.shutdown()
    server.server_close()


def test_what_a_newer_service_adds_is_left_out(edge: Edge) -> None:
    edge.answer = lambda handler: handler.say(200, JOB | {"new": 1, "progress": JOB["progress"] | {"new": [2]}})
    job = Client(edge.url).job("0" * 32)
    assert job.request == GenerateRequest(PathSource("/clip.mp4"), options=GenerationOptions(seed=7))
    assert job.progress == Progress("sampling", 1.0, None)
    assert job.created.utcoffset() is not None


@pytest.mark.parametrize(
    "body",
    [
        *(b"<html>hello</html>", b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000),
        *(json.dumps(JOB | change).encode() for change in ({"id": 5}, {"created": "soon"}, {"request": {}})),
    ],
)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_garbage_is_a_message(edge: Edge, body: bytes, status: int) -> None:
    edge.answer = lambda handler: handler.say(status, body)
    assert edge.url in broken("foreign", lambda: Client(edge.url).job("0" * 32))


def test_what_is_no_http_is_a_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

        threading.Thread(target=greet, daemon=True).start()
        broken("foreign", Client(f"http://127.0.0.1:{listening.getsockname()[1]}").health)


def test_another_api_and_another_service(edge: Edge) -> None:
    edge.answer = lambda handler: handler.say(200, {"service": "omniaudio", "api": 2, "version": "9"})
    assert "same version" in broken("foreign", Client(edge.url).health)
    edge.answer = lambda handler: handler.say(200, {"service": "bakery", "api": 1, "version": "9"})
    broken("foreign", Client(edge.url).health)


def test_an_untrusted_certificate_is_named(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    made = ["openssl", "req", "-x509", "-nodes", *kind, "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Edge()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    try:
        message = broken("unreachable", Client(f"https://localhost:{server.server_port}").health)
        assert "certificate verify failed" in message
    finally:
        server.shutdown()
        server.server_close()


def test_no_redirect_is_followed(edge: Edge) -> None:
    elsewhere = Edge()
    edge.answer = lambda handler: handler.say(307, b"", Location=f"{elsewhere.url}/v1/jobs")
    assert elsewhere.url in broken("foreign", lambda: Client(edge.url, "secret").jobs())
    assert not elsewhere.asked
    elsewhere.shutdown()
    elsewhere.server_close()


def test_no_proxy_is_used(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Edge()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    edge.answer = lambda handler: handler.say(200, {"service": "omniaudio", "api": 1, "version": "9", "new": 0})
    assert Client(edge.url, "secret").health().version == "9"
    assert not proxy.asked
    proxy.shutdown()
    proxy.server_close()


def test_no_service_at_the_address(edge: Edge) -> None:
    edge.shutdown()
    edge.server_close()
    assert "omniaudio serve" in broken("unreachable", Client(edge.url).health)
    assert "unknown" in broken("unreachable", Client("http://nobody.invalid:1").health)


def test_silence_ends_with_a_message(edge: Edge) -> None:
    edge.answer = lambda handler: time.sleep(3)
    began = time.monotonic()
    assert "0.2 s" in broken("timeout", Client(edge.url, timeout=0.2).health)
    assert time.monotonic() - began < 2


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_a_retry_after_a_lost_answer_is_the_same_request(edge: Edge) -> None:
    edge.one_after_the_other(hang_up, lambda handler: handler.say(503, b"starting"), lambda h: h.say(201, JOB))
    Client(edge.url).create(GenerateRequest(PathSource("/clip.mp4")))
    first, *others = [json.loads(body)["request_id"] for *_, body in edge.asked]
    assert others == [first, first]
    assert len(first) >= 32


def test_removing_is_not_repeated(edge: Edge) -> None:
    edge.answer = hang_up
    broken("unreachable", lambda: Client(edge.url).remove("0" * 32))
    assert len(edge.asked) == 1


@pytest.mark.parametrize("size", [0, 50, 101])
def test_a_download_is_whole_or_nothing(edge: Edge, tmp_path: Path, size: int) -> None:
    target = tmp_path / "sound.wav"
    target.write_bytes(b"before")
    edge.answer = lambda handler: handler.say(200, bytes(size), Content_Length=max(100, size))
    file = ResultFile("sound.wav", "/there", 100)
    broken("unreachable", lambda: Client(edge.url).download("0" * 32, file, target))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
    assert len(edge.asked) == 3
    edge.one_after_the_other(lambda handler: handler.say(200, bytes(100)))
    Client(edge.url).download("0" * 32, file, target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [bytes(100)]


def test_a_download_to_nowhere_is_a_message(edge: Edge, tmp_path: Path) -> None:
    edge.answer = lambda handler: handler.say(200, bytes(100))
    file = ResultFile("sound.wav", "/there", 100)
    assert str(tmp_path) in broken("file", lambda: Client(edge.url).download("0", file, tmp_path / "no" / "sound.wav"))
    broken("file", lambda: Client(edge.url).download("0", file, tmp_path))
    assert not list(tmp_path.iterdir())


def test_names_of_any_script_come_through(edge: Edge, tmp_path: Path) -> None:
    edge.answer = lambda handler: handler.say(200, b"1")
    Client(edge.url).download("0", ResultFile("día 空/?#.wav", "/there", 1), tmp_path / "día 空.wav")
    assert edge.asked[0][1] == "/v1/jobs/0/files/d%C3%ADa%20%E7%A9%BA%2F%3F%23.wav"
    assert [path.name for path in tmp_path.iterdir()] == ["día 空.wav"]


def event(job: object, number: int) -> bytes:
    return f": hello\n\nid: {number}\ndata: {json.dumps(job)}\n\n".encode()


def stream(handler: Handler, *parts: bytes) -> None:
    """Without a length: the end of the connection is the end of the stream."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()
    for part in parts:
        handler.wfile.write(part)


def test_events_continue_after_each_break(edge: Edge) -> None:
    edge.one_after_the_other(
        lambda handler: stream(handler, event(JOB, 1), event(JOB, 2), event(DONE, 3)[:-30]),
        hang_up,
        lambda handler: handler.say(503, b"starting"),
        lambda handler: stream(handler, b"data: " + json.dumps(DONE).encode() + b"\r\nid:9\r\n\r\n"),
    )
    states = [job.state for job in Client(edge.url).events("0" * 32)]
    assert states == ["running", "running", "done"]
    assert [headers.get("Last-Event-ID") for _, _, headers, _ in edge.asked] == [None, "2", "2", "2"]


def test_events_after_a_known_end(edge: Edge) -> None:
    edge.one_after_the_other(
        lambda handler: stream(handler, event(JOB, 1)),
        lambda handler: (handler.send_response(204), handler.end_headers()),
        lambda handler: handler.say(200, DONE),
    )
    assert Client(edge.url).wait("0" * 32).state == "done"


def test_events_are_given_up_after_the_stated_time(edge: Edge) -> None:
    edge.answer = hang_up
    began = time.monotonic()
    assert "0.5 s" in broken("unreachable", lambda: Client(edge.url).wait("0" * 32, patience=0.5))
    assert 0.5 < time.monotonic() - began < 3


@pytest.mark.parametrize("garbage", [b"data: {}\n\n", b"data: \xff\n\n", b"data: " + b"x" * (5 << 20)])
def test_garbage_in_events_is_a_message(edge: Edge, garbage: bytes) -> None:
    edge.answer = lambda handler: stream(handler, garbage)
    broken("foreign", lambda: Client(edge.url).wait("0" * 32))


def test_an_upload_that_is_refused_early_says_why(edge: Edge, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with clip.open("wb") as file:
        file.truncate(64 << 20)
    edge.reads = False
    edge.answer = lambda handler: handler.say(413, {"error": {"code": "too_large", "message": "Send less."}})
    assert broken("too_large", lambda: Client(edge.url).upload(clip)) == "Send less."


def test_an_upload_is_streamed(edge: Edge, tmp_path: Path) -> None:
    clip = tmp_path / "día 空.mp4"
    with clip.open("wb") as file:
        file.truncate(64 << 20)
    edge.reads = False

    def swallow(handler: Handler) -> None:
        left = int(handler.headers["Content-Length"])
        while left:
            left -= handler.rfile.readinto(bytearray(min(left, 1 << 16)))
        handler.say(201, {"id": "1" * 32, "name": "clip.mp4", "size": 64 << 20})

    edge.answer = swallow
    sent: list[tuple[int, int]] = []
    tracemalloc.start()
    media = Client(edge.url).upload(clip, lambda done, size: sent.append((done, size)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (media.size, sent[-1]) == (64 << 20, (64 << 20, 64 << 20))
    assert peak < 8 << 20
    assert edge.asked[0][1] == "/v1/media?name=d%C3%ADa+%E7%A9%BA.mp4"


def test_a_clip_that_shrinks_or_is_missing(edge: Edge, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with clip.open("wb") as file:
        file.truncate(8 << 20)
    assert "shorter" in broken("file", lambda: Client(edge.url).upload(clip, lambda *_: os.truncate(clip, 100)))
    clip.unlink()
    assert str(clip) in broken("file", lambda: Client(edge.url).upload(clip))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "localhost",
            "127.0.0.1:4360",
            "ftp://a",
            "file:///etc/passwd",
            "http://",
            "http://a:99999",
            "http://[::1",
        ),
        *("http://me:secret@a", "http://a/path", "http://a?b", "http://ü"),
    ],
)
def test_malformed_addresses(url: str) -> None:
    broken("foreign", lambda: Client(url))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ü"])
def test_malformed_tokens(token: str) -> None:
    assert token not in broken("unauthorized", lambda: Client("http://a", token)) or not token


def test_ipv6() -> None:
    try:
        edge = Edge("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    edge.answer = lambda handler: handler.say(200, {"service": "omniaudio", "api": 1, "version": "9"})
    client = Client(edge.url + "/")
    assert client.health().version == "9"
    assert client.local
    assert edge.asked[0][2]["Host"] == f"[::1]:{edge.server_port}"
    edge.shutdown()
    edge.server_close()
