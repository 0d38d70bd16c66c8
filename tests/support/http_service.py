"""A real service in a thread of the test's process, and a client that uses only the standard library."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from trt_engine.service.api.server import Service
from trt_engine.service.settings import TOKEN, Settings


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        """Code and message; checks that the answer holds only an error."""
        assert self.headers["content-type"] == "application/json"
        assert self.json.keys() == {"error"}
        assert self.json["error"].keys() == {"code", "message"}
        return self.json["error"]["code"], self.json["error"]["message"]


class Client:
    """Sends requests to a service, each over a new connection."""

    def __init__(self, service: Service, token: str | None) -> None:
        self.service = service
        url = urlsplit(service.url)
        self.address = url.hostname or "", url.port
        self.authorization = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send one request with the token; a dict as body is sent as JSON."""
        with self.connect() as connection:
            own = dict(self.authorization)
            if isinstance(body, dict):
                body, own["Content-Type"] = json.dumps(body), "application/json"
            connection.request(method, path, body, {**own, **(headers or {})}, **options)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    @contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def events(self, job_id: str, last: str | None = None) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """The ids and jobs of a stream of events; checks that the answer is one."""
        with self.connect() as connection:
            known = {} if last is None else {"Last-Event-ID": last}
            connection.request("GET", f"/v1/jobs/{job_id}/events", headers={**self.authorization, **known})
            response = connection.getresponse()
            assert response.status == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _events(response)


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    for line in response:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["id"], json.loads(fields["data"])
            fields = {}


@contextmanager
def serving(settings: Settings) -> Iterator[Client]:
    """Run a service during the block."""
    service = Service(settings)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        while not service.started:
            assert thread.is_alive()
            time.sleep(0.02)
        token = (settings.folder / TOKEN).read_text().strip() if settings.token_required else None
        yield Client(service, token)
    finally:
        service.should_exit = True
        thread.join(60)
    assert not thread.is_alive()
