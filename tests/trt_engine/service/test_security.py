import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniaudio.errors import UserError
from support.http_service import Client, serving
from trt_engine.service.api.security import token
from trt_engine.service.api.server import Service
from trt_engine.service.settings import TOKEN, Settings

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no modes of files")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(Settings(folder=tmp_path_factory.mktemp("service"), port=0, allowed_hosts=("Studio.example",))) as one:
        yield one


def raw(client: Client, *lines: bytes) -> bytes:
    """The whole answer to a request as it is written here."""
    with socket.create_connection(client.address, timeout=10) as connection:
        connection.sendall(b"\r\n".join((b"GET /v1/jobs HTTP/1.1", *lines, b"Connection: close", b"", b"")))
        return b"".join(iter(lambda: connection.recv(65536), b""))


@posix
def test_the_token_is_made_for_the_user_alone_and_stays(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = token(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / TOKEN).stat().st_mode) == 0o600
    assert len(made) >= 43
    assert token(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [TOKEN]


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    token(tmp_path)
    (tmp_path / TOKEN).chmod(mode)
    with pytest.raises(UserError, match=r"Others can read the token .* delete it"):
        token(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 50, b"a b" * 20])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    token(tmp_path)
    (tmp_path / TOKEN).write_bytes(content)
    with pytest.raises(UserError, match="There is no token in"):
        token(tmp_path)


def test_health_alone_needs_no_token(client: Client) -> None:
    health = client.ask("GET", "/v1/health", headers={"Authorization": ""})
    assert health.status == 200
    assert health.json.keys() == {"service", "api", "version"}
    for path in ("/v1/jobs", "/v1/workers", "/v1/openapi.json", "/v1/health/", "/v1//health", "/docs", "/"):
        refused = client.ask("GET", path, headers={"Authorization": ""})
        assert refused.status == 401
        assert refused.error[0] == "unauthorized"
        assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer wrong",
        b"Authorization: Bearer",
        b"Authorization: Basic %s",
        b"Authorization: %s",
        b"Authorization: Bearer \xc3\xa9\xff\xfe",
        b"Authorization: Bearer %sx",
        b"Authorization: Bearer %s\r\nAuthorization: Bearer %s",
        b"X: y",
    ],
)
def test_other_tokens_are_refused(client: Client, line: bytes) -> None:
    secret = client.authorization["Authorization"].split()[1].encode()
    answer = raw(client, b"Host: localhost", line.replace(b"%s", secret))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert secret not in answer


def test_the_scheme_may_be_written_in_any_case(client: Client) -> None:
    secret = client.authorization["Authorization"].split()[1]
    assert client.ask("GET", "/v1/jobs", headers={"Authorization": f"bearer {secret}"}).status == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:4360", "LOCALHOST:1", "studio.example"])
def test_own_names_are_answered(client: Client, host: str) -> None:
    assert client.ask("GET", "/v1/jobs", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4360",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil@localhost",
        "localhost:4360/x",
        "localhost, evil.example",
        "studio.example.evil",
        "192.168.1.1",
        "0.0.0.0",
        "[::]",
        "",
    ],
)
def test_a_name_made_to_point_here_is_refused(client: Client, host: str) -> None:
    for path in ("/v1/jobs", "/v1/health"):
        answer = client.ask("GET", path, headers={"Host": host})
        assert answer.status == 403
        assert answer.error[0] == "forbidden"


def test_no_host_and_two_hosts_are_refused(client: Client) -> None:
    # The protocol itself wants exactly one: this is refused below the API.
    assert raw(client).startswith(b"HTTP/1.1 400 ")
    assert raw(client, b"Host: localhost", b"Host: evil.example").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "file://", "http://[", "x"])
def test_a_foreign_page_is_refused(client: Client, origin: str) -> None:
    answer = client.ask("POST", "/v1/workers/unload", headers={"Origin": origin})
    assert answer.status == 403
    assert answer.error[0] == "forbidden"
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_preflight_gets_no_permission(client: Client) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.ask("OPTIONS", "/v1/jobs", headers=headers)
    assert answer.status == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_an_own_page_is_answered(client: Client) -> None:
    assert client.ask("GET", "/v1/jobs", headers={"Origin": client.service.url}).status == 200


def test_without_a_token_the_rest_holds(tmp_path: Path) -> None:
    with serving(Settings(folder=tmp_path, port=0, token_required=False)) as client:
        assert client.ask("GET", "/v1/jobs").status == 200
        assert client.ask("GET", "/v1/jobs", headers={"Host": "evil.example"}).status == 403
        assert client.ask("GET", "/v1/jobs", headers={"Origin": "http://evil.example"}).status == 403
    assert not (tmp_path / TOKEN).exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_this_machine_a_token_is_required(tmp_path: Path, host: str) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with pytest.raises(UserError, match="a token is required: leave out --no-token"):
        Service(Settings(folder=tmp_path, port=0, host=host, token_required=False))
