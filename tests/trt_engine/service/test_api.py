import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from omniaudio.model_zoo import registry
from support.http_service import Answer, Client, serving
from trt_engine.service.api import server
from trt_engine.service.settings import LOG, MEDIA, Settings

BODY_LIMIT, MEDIA_LIMIT = 4096, 1_000_000
SECONDS = 12
"""Of the job that is downloaded: more bytes than the system keeps for a client that does not read."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def settings(folder: Path, panorama: Path) -> Settings:
    return Settings(
        folder=folder,
        port=0,
        roots=(panorama.parent,),
        max_seconds=60,
        max_body_bytes=BODY_LIMIT,
        max_media_bytes=MEDIA_LIMIT,
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    with serving(settings) as one:
        yield one


@pytest.fixture(scope="module")
def body(panorama: Path, model: registry.Model) -> dict[str, Any]:
    """A job that is quickly done."""
    options = {"model": model.name, "steps": 2, "preview": False}
    return {"source": {"path": str(panorama)}, "duration": 1, "options": options}


def changed(body: dict[str, Any], *, options: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """A body with other values, also of its options."""
    return {**body, **others, "options": {**body["options"], **(options or {})}}


@pytest.fixture(scope="module")
def done(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """A longer job that is done, and was followed from the start."""
    more = {"duration": SECONDS, "name": "forest", "request_id": "the-first"}
    created = client.ask("POST", "/v1/jobs", changed(body, options={"preview": True, "steps": 4}, **more))
    assert created.status == 201
    job_id = created.json["id"]
    with client.events(job_id) as events:
        seen = list(events)
    states = [job["state"] for _, job in seen]
    fractions = [job["progress"]["fraction"] for _, job in seen if job["state"] == "running"]
    assert states == sorted(states, key=["queued", "running", "done"].index)
    assert states[-1] == "done", seen[-1][1]["error"]
    assert (
        fractions[0] < 0.2
    )  # it is by measured speeds, and may step back a little where a stage is slower than thought
    assert max(fractions) > 0.5
    assert all({"stage", "seconds_left"} < job["progress"].keys() for _, job in seen if job["state"] == "running")
    assert len({event_id for event_id, _ in seen}) == len(seen)
    job: dict[str, Any] = client.ask("GET", f"/v1/jobs/{job_id}").json
    assert seen[-1][1] == job
    return {**job, "last": seen[-1][0]}


def test_files_are_downloaded_as_they_are(client: Client, done: dict[str, Any]) -> None:
    (take,) = done["result"]["takes"]
    types = {"sound": "audio/wav", "sidecar": "application/json", "preview": "audio/wav", "map": "image/png"}
    for kind, media_type in types.items():
        file = take[kind]
        answer = client.ask("GET", f"/v1/jobs/{done['id']}/files/{file['name']}")
        assert answer.status == 200
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="{file["name"]}"'
        assert answer.body == Path(file["path"]).read_bytes()
        assert len(answer.body) == file["size"]
    assert take["sound"]["name"] == "forest.wav"


def test_ranges(client: Client, done: dict[str, Any]) -> None:
    file = done["result"]["takes"][0]["sound"]
    whole = Path(file["path"]).read_bytes()

    def part(ranges: str) -> Answer:
        return client.ask("GET", f"/v1/jobs/{done['id']}/files/{file['name']}", headers={"Range": ranges})

    middle = part("bytes=1000-1999")
    assert middle.status == 206
    assert middle.body == whole[1000:2000]
    assert middle.headers["content-range"] == f"bytes 1000-1999/{len(whole)}"
    assert part("bytes=-10").body == whole[-10:]
    assert part("bytes=0-0,5-6").headers["content-type"].startswith("multipart/byteranges")
    beyond, unknown = part(f"bytes={len(whole)}-"), part("lines=1-2")
    assert (beyond.status, unknown.status) == (416, 400)
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    assert beyond.error[0] == unknown.error[0] == "invalid"


@pytest.mark.parametrize("name", ["missing.wav", "..%2F..%2Ftoken", ".result.json", "%2Fetc%2Fpasswd", "%00", "token"])
def test_only_a_jobs_own_files(client: Client, done: dict[str, Any], name: str) -> None:
    answer = client.ask("GET", f"/v1/jobs/{done['id']}/files/{name}")
    assert answer.status == 404
    assert answer.error[0] == "not_found"


def test_creating_is_idempotent_by_the_request_id(client: Client, done: dict[str, Any]) -> None:
    repeated = client.ask("POST", "/v1/jobs", done["request"])
    assert repeated.status == 200
    assert repeated.json["id"] == done["id"]
    other = client.ask("POST", "/v1/jobs", changed(done["request"], options={"seed": 1}))
    assert other.status == 409
    assert other.error[0] == "conflict"


def test_a_request_id_is_known_though_its_clip_is_gone(client: Client, body: dict[str, Any], panorama: Path) -> None:
    """A client that never got the first answer asks again, whatever has become of the clip by then."""
    clip = panorama.with_name("gone.png")
    clip.write_bytes(b"clip")
    asked = {**body, "source": {"path": str(clip)}, "request_id": "the-clip-is-gone"}
    created = client.ask("POST", "/v1/jobs", asked)
    clip.unlink()
    repeated = client.ask("POST", "/v1/jobs", asked)
    assert (created.status, repeated.status) == (201, 200)
    assert repeated.json["id"] == created.json["id"]
    assert client.ask("POST", "/v1/jobs", changed(asked, options={"seed": 1})).error[0] == "conflict"
    assert client.ask("POST", "/v1/jobs", {**asked, "request_id": "another"}).error[0] == "source"


def test_a_known_end_is_not_repeated(client: Client, done: dict[str, Any]) -> None:
    answer = client.ask("GET", f"/v1/jobs/{done['id']}/events", headers={"Last-Event-ID": done["last"]})
    assert (answer.status, answer.body) == (204, b"")
    with client.events(done["id"], last="another") as events:
        assert [(event_id, job["state"]) for event_id, job in events] == [(done["last"], "done")]


def test_a_stream_that_broke_off_goes_on(client: Client, body: dict[str, Any]) -> None:
    job_id = client.ask("POST", "/v1/jobs", changed(body, duration=5, options={"steps": 8})).json["id"]
    with client.events(job_id) as events:
        last, _ = next(events)
    with client.events(job_id, last) as events:
        seen = list(events)
    assert last not in [event_id for event_id, _ in seen]
    assert seen[-1][1]["state"] == "done"


def test_cancelling_and_forgetting(client: Client, body: dict[str, Any]) -> None:
    job_id = client.ask("POST", "/v1/jobs", changed(body, duration=60, options={"steps": 1000})).json["id"]
    with client.events(job_id) as events:
        next(events)
        early = client.ask("DELETE", f"/v1/jobs/{job_id}")
        assert early.status == 409
        assert early.error[0] == "conflict"
        assert client.ask("POST", f"/v1/jobs/{job_id}/cancel").json["state"] == "cancelled"
        *_, (_, end) = events
    assert end["error"]["code"] == "cancelled"
    assert client.ask("POST", f"/v1/jobs/{job_id}/cancel").status == 200
    assert job_id in [job["id"] for job in client.ask("GET", "/v1/jobs?state=cancelled").json["jobs"]]
    assert client.ask("DELETE", f"/v1/jobs/{job_id}").status == 204
    for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/files/x.wav"), ("POST", "/cancel"), ("DELETE", "")):
        answer = client.ask(method, f"/v1/jobs/{job_id}{path}")
        assert answer.status == 404
        assert answer.error[0] == "not_found"


def test_a_job_of_an_upload(client: Client, body: dict[str, Any], panorama: Path) -> None:
    content = panorama.read_bytes()
    uploaded = client.ask("POST", "/v1/media?name=m%C3%B6we%2F..%2Fwald.png", content)
    assert uploaded.status == 201
    assert uploaded.json == {"id": uploaded.json["id"], "name": "wald.png", "size": len(content)}
    source = {"media": uploaded.json["id"]}
    job_id = client.ask("POST", "/v1/jobs", changed(body, source=source, options={"steps": 50})).json["id"]
    with client.events(job_id) as events:
        next(events)
        wanted = client.ask("DELETE", f"/v1/media/{source['media']}")
        assert wanted.status == 409
        *_, (_, end) = events
    assert end["state"] == "done"
    assert end["result"]["takes"][0]["sound"]["name"].startswith("wald")
    assert client.ask("DELETE", f"/v1/media/{source['media']}").status == 204
    assert client.ask("DELETE", f"/v1/media/{source['media']}").status == 404
    assert client.ask("POST", "/v1/jobs", {**body, "source": source}).error[0] == "not_found"


def test_unloading(client: Client, done: dict[str, Any]) -> None:
    workers = client.ask("GET", "/v1/workers").json["workers"]
    assert [worker["device"] for worker in workers] == ["cpu", "sound"]
    deadline = time.monotonic() + 30  # a job of a test before may still be leaving it
    while client.ask("POST", "/v1/workers/unload").json["workers"][0]["state"] != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"duration": 0}, ["body.duration"]),
        ({"duration": 36_000_000}, ["body.duration"]),
        (
            {"options": {"seed": -1, "takes": 17, "steps": 0}, "rate": 1},
            ["body.options.seed", "body.options.takes", "body.options.steps", "body.rate"],
        ),
        ({"options": {"order": 4, "variation": 1.5}}, ["body.options.order", "body.options.variation"]),
        ({"options": {"guidance": math.nan}}, ["body.options.guidance"]),
        ({"options": {"guidance": math.inf}, "start": -math.inf}, ["body.options.guidance", "body.start"]),
        ({"options": {"unknown": 1}}, ["body.options.unknown"]),
        ({"seed": 1}, ["body.seed"]),
        ({"unknown": 1}, ["body.unknown"]),
        ({"name": "../x"}, ["body.name"]),
        ({"options": {"model": ""}}, ["body.options.model"]),
        ({"source": {"path": "/a", "media": "b"}}, ["body.source"]),
        ({"source": {"path": "/a" * 3000}}, ["body.source"]),
        ({"source": {"path": "/bad\udcff.mp4"}, "name": "bad\udcff"}, ["body.source", "body.name"]),
        ({f"x{number}": 1 for number in range(200)}, ["body.x0", "and 180 more"]),
    ],
)
def test_each_refused_field_is_named(
    client: Client, body: dict[str, Any], change: dict[str, Any], fields: list[str]
) -> None:
    answer = client.ask("POST", "/v1/jobs", {**body, **change})
    assert answer.status == (413 if len(str(change)) > BODY_LIMIT else 422)
    code, message = answer.error
    if answer.status == 422:
        assert code == "invalid"
        assert all(field in message for field in fields)


def test_ten_hours_are_too_long(client: Client, body: dict[str, Any]) -> None:
    answer = client.ask("POST", "/v1/jobs", {**body, "duration": 36_000})
    assert answer.status == 413
    assert answer.error == ("too_large", "A job is at most 60 s of sound here: request shorter parts.")


def test_a_source_outside_the_roots(client: Client, body: dict[str, Any]) -> None:
    answer = client.ask("POST", "/v1/jobs", {**body, "source": {"path": "/etc/passwd"}})
    assert answer.status == 404
    assert answer.error[0] == "source"


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 4000, b"\xff\xfe\xfa", b'{"seed": ' + b"9" * 4000 + b"}", b"NaN", b"null", b"[]", b""]
)
def test_bodies_that_are_no_request(client: Client, body: bytes) -> None:
    answer = client.ask("POST", "/v1/jobs", body, {"Content-Type": "application/json"})
    assert answer.status in (400, 422)
    assert answer.error[0] == "invalid"


def endless(size: int) -> Iterator[bytes]:
    for _ in range(size // 10_000):
        yield b" " * 10_000


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/media?name=clip.mp4"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_are_too_large(client: Client, folder: Path, path: str, chunked: bool) -> None:
    headers = {"Content-Type": "application/json"} | ({} if chunked else {"Content-Length": "10000000"})
    answer = client.ask("POST", path, endless(10_000_000), headers, encode_chunked=chunked)
    assert answer.status == 413
    assert answer.error[0] == "too_large"
    assert list((folder / MEDIA).glob("*")) == []


def test_a_declared_length_is_refused_before_it_is_sent(client: Client) -> None:
    with client.connect() as connection:
        connection.putrequest("POST", "/v1/jobs")
        for name, value in {**client.authorization, "Content-Length": "10000000"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_an_upload_that_breaks_off(client: Client, folder: Path) -> None:
    with client.connect() as connection:
        connection.putrequest("POST", "/v1/media?name=clip.mp4")
        for name, value in {**client.authorization, "Content-Length": "1000"}.items():
            connection.putheader(name, value)
        connection.endheaders(b"some")
        until(lambda: list((folder / MEDIA).iterdir()) != [])
    until(lambda: list((folder / MEDIA).iterdir()) == [])


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_other_addresses_and_methods(client: Client) -> None:
    assert client.ask("GET", "/v1/nothing").status == 404
    wrong = client.ask("PUT", "/v1/jobs")
    assert wrong.status == 405
    assert wrong.headers["allow"] == "GET, POST"
    assert {client.ask("GET", "/v1/nothing").error[0], wrong.error[0]} == {"not_found", "invalid"}


def test_no_trace_of_a_fault(settings: Settings, tmp_path: Path) -> None:
    async def broken() -> None:
        raise RuntimeError("a secret")

    with serving(settings.model_copy(update={"folder": tmp_path})) as client:
        client.service.api.add_api_route("/v1/broken", broken)
        answer = client.ask("GET", "/v1/broken")
        assert answer.status == 500
        code, message = answer.error
        assert code == "internal"
        assert "secret" not in message
        assert client.ask("GET", "/v1/jobs").status == 200
    log = (tmp_path / LOG).read_text()
    assert "RuntimeError: a secret" in log
    assert "Traceback" in log


def test_a_client_that_stops_reading_is_dropped(
    client: Client, done: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALLED_SECONDS", 1.0)
    file = done["result"]["takes"][0]["sound"]
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(client.address)
        request = f"GET /v1/jobs/{done['id']}/files/{file['name']} HTTP/1.1\r\nHost: localhost\r\n"
        lazy.sendall(f"{request}Authorization: {client.authorization['Authorization']}\r\n\r\n".encode())
        until(lambda: len(client.service.server_state.connections) == 1)
        assert client.ask("GET", "/v1/jobs").status == 200
        until(lambda: len(client.service.server_state.connections) == 0)


@pytest.mark.slow
def test_a_request_that_stops_is_dropped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_SECONDS", 1.0)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: {client.authorization['Authorization']}\r\n"
    for beginning in (b"", b"GET /v1/jo", head.encode() + b"Content-Length: 9\r\n\r\n{"):
        with socket.create_connection(client.address, timeout=20) as lazy:
            lazy.sendall(beginning)
            with suppress(ConnectionResetError):
                assert lazy.recv(1024) == b""  # it ends, by a timeout of the socket else


@pytest.mark.slow
def test_many_followers_of_one_job(client: Client, body: dict[str, Any]) -> None:
    """Readers at different speeds each get the end, and the slow ones hold up nobody."""
    job_id = client.ask("POST", "/v1/jobs", changed(body, duration=5, options={"steps": 20})).json["id"]
    ends: list[str] = []

    def follow(pause: float) -> None:
        with client.events(job_id) as events:
            for _, job in events:
                state = job["state"]
                time.sleep(pause)
            ends.append(state)

    readers = [threading.Thread(target=follow, args=(pause,)) for pause in (0, 0, 0, 0.01, 0.1)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert ends == ["done"] * len(readers)


@pytest.mark.slow
def test_a_thousand_jobs(settings: Settings, body: dict[str, Any], tmp_path: Path) -> None:
    waiting = settings.model_copy(update={"folder": tmp_path, "max_queued": 100})
    with serving(waiting) as client:
        first = client.ask("POST", "/v1/jobs", changed(body, duration=60, options={"steps": 1000})).json["id"]
        until(lambda: client.ask("GET", f"/v1/jobs/{first}").json["state"] == "running", 60)
        answers = [client.ask("POST", "/v1/jobs", body) for _ in range(1000)]
        assert [answer.status for answer in answers] == [201] * 100 + [429] * 900
        assert answers[-1].error[0] == "queue_full"
        assert len(client.ask("GET", "/v1/jobs?limit=1000").json["jobs"]) == 101
        assert len(client.ask("GET", "/v1/jobs?state=queued&limit=7").json["jobs"]) == 7
        for limit in ("0", "1001", "x"):
            assert client.ask("GET", f"/v1/jobs?limit={limit}").error[0] == "invalid"


def test_followers_do_not_hold_up_the_end(settings: Settings, body: dict[str, Any], tmp_path: Path) -> None:
    with serving(settings.model_copy(update={"folder": tmp_path})) as client:
        job_id = client.ask("POST", "/v1/jobs", changed(body, duration=60, options={"steps": 1000})).json["id"]
        with client.events(job_id) as events:
            next(events)
            client.service.should_exit = True
            states = [job["state"] for _, job in events]  # an orderly end: else http.client raises
    assert set(states) <= {"queued", "running"}
    assert not (tmp_path / LOG).exists()


def test_a_head_without_an_end(client: Client) -> None:
    with socket.create_connection(client.address, timeout=20) as connection, suppress(ConnectionError):
        connection.sendall(b"GET /v1/jobs HTTP/1.1\r\nX: ")
        for _ in range(1000):  # a reset, where the end of it is no longer read
            connection.sendall(b"x" * 1000)
        assert connection.recv(1024).startswith(b"HTTP/1.1 400 ")
    assert client.ask("GET", "/v1/jobs").status == 200
