"""Requests to the service over HTTP: connections, errors and retries.

A transport connects to the given address and to no other: it follows no redirect and uses no proxy, so that the token
goes nowhere else. Standard library only.
"""

import http.client
import ipaddress
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from .records import API_VERSION, Media, ResultFile, parsed

UNREACHABLE, TIMEOUT, FOREIGN, FILE = "unreachable", "timeout", "foreign", "file"
"""The client's own codes: no answer, or a broken connection; no answer in time; the answer is not from a service that
this client knows; a file on this machine cannot be read or written. Other codes come from the service."""

_PAUSES = (0.2, 0.6)
"""Seconds before the second and the third attempt of a call."""
_BLOCK = 1 << 20
_MAX_BYTES = 64 << 20
"""Of an answer in JSON: more than any service sends."""

T = TypeVar("T")


class ServiceError(Exception):
    """An error of the service or the connection: `message` says what to do, `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Transport:
    """A service at an address. It holds no connection, so threads may share a transport.

    Raises ServiceError for every unsuccessful answer, and for every error of the connection.
    """

    def __init__(self, url: str, token: str | None, timeout: float) -> None:
        """Arguments and errors as for `Client`."""
        try:
            parts = urlsplit(url.strip())
            self.host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, self.host, port = urlsplit(""), "", None
        # Other parts would be ignored silently, and messages would show a password.
        bare = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
        if parts.scheme not in ("http", "https") or not self.host.isascii() or not self.host or not bare:
            raise ServiceError(FOREIGN, f"{url!r} is no address of a service: name one like http://127.0.0.1:4360.")
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise ServiceError(
                "unauthorized", "The token is malformed: copy the content of the service's file `token`."
            )
        self._secure = parts.scheme == "https"
        self.port = port or (443 if self._secure else 80)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        self.timeout = timeout

    @property
    def local(self) -> bool:
        """Whether the address is on this machine."""
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def call(self, kind: Any, method: str, address: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self.repeated(partial(self.once, kind, method, address, content, headers))

    def repeated(self, call: Callable[[], T]) -> T:
        for pause in _PAUSES:
            try:
                return call()
            except ServiceError as error:
                if error.code != UNREACHABLE:
                    raise
            time.sleep(pause)
        return call()

    def once(
        self,
        kind: Any,
        method: str,
        address: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},
        *,
        timeout: float | None = None,
    ) -> Any:
        with self.answer(method, address, body, headers, timeout=timeout) as response:
            content = self.content(response)
        return None if kind is None else self.record(kind, content)

    def record(self, kind: Any, content: str | bytes) -> Any:
        try:
            return parsed(kind, json.loads(content))
        except (ValueError, RecursionError) as error:
            raise self.foreign() from error

    def content(self, response: http.client.HTTPResponse) -> bytes:
        content = response.read(_MAX_BYTES)
        if response.length:  # bytes that are missing
            raise self.foreign() if len(content) == _MAX_BYTES else http.client.IncompleteRead(content)
        return content

    @contextmanager
    def answer(
        self,
        method: str,
        address: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},
        *,
        timeout: float | None = None,
        line: "Line | None" = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """A successful answer, to be read. Raises ServiceError for any other, and for every error while it is read."""
        seconds = self.timeout if timeout is None else timeout
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=seconds)
        own = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            try:
                connection.request(method, f"/v{API_VERSION}{address}", body, {**own, **headers})
            except ConnectionError:
                # The service may have refused before it read everything; then its answer is there.
                if connection.sock is None:
                    raise
            if line is not None:
                line.opened(connection.sock)
            response = connection.getresponse()
            if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                raise self._refusal(response)
            yield response
        except TimeoutError as error:
            message = f"The service at {self.url} did not answer within {seconds:g} s: check that it still works."
            raise ServiceError(TIMEOUT, message) from error
        except ConnectionRefusedError as error:
            message = f"No service answers at {self.url}: start it with `omniaudio serve`, or correct the address."
            raise ServiceError(UNREACHABLE, message) from error
        except (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead) as error:
            message = f"The connection to the service at {self.url} broke: check that it still runs."
            raise ServiceError(UNREACHABLE, message) from error
        except (http.client.HTTPException, UnicodeError) as error:
            raise self.foreign() from error
        except OSError as error:
            what = (
                "is unknown" if isinstance(error, socket.gaierror) else f"cannot be reached ({error.strerror or error})"
            )
            raise ServiceError(UNREACHABLE, f"{self.url} {what}: check the address and the network.") from error
        finally:
            connection.close()

    def _refusal(self, response: http.client.HTTPResponse) -> ServiceError:
        """The error in an unsuccessful answer."""
        if response.status < http.HTTPStatus.BAD_REQUEST:
            where = (response.getheader("Location") or "nowhere")[:200]
            return ServiceError(FOREIGN, f"{self.url} redirects to {where}: use the service's own address.")
        try:
            error = json.loads(self.content(response))["error"]
            return ServiceError(str(error["code"]), str(error["message"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        if response.status in (http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.SERVICE_UNAVAILABLE):
            return ServiceError(UNREACHABLE, f"The service at {self.url} is not ready: try again in a moment.")
        return self.foreign()

    def foreign(self) -> ServiceError:
        return ServiceError(
            FOREIGN,
            f"{self.url} answers, but not as this version of OmniAudio's service: check the address, and use the same "
            f"version on both sides.",
        )

    def upload(self, path: Path, on_sent: Callable[[int, int], None] | None = None) -> Media:
        """As `Client.upload`."""
        with _file_refusals(path, "read"):
            file = path.open("rb")
        with file:
            size = os.fstat(file.fileno()).st_size
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            address = f"/media?{urlencode({'name': path.name}, errors='replace')}"
            media: Media = self.once(Media, "POST", address, _sent(file, path, size, on_sent), headers)
        return media

    def download(self, job_id: str, file: ResultFile, target: Path) -> None:
        """As `Client.download`."""
        self.repeated(partial(self._download, job_id, file, target))

    def _download(self, job_id: str, file: ResultFile, target: Path) -> None:
        unfinished = target.with_name(f".omniaudio-{uuid4().hex[:8]}.part")
        try:
            with self.answer("GET", resource("jobs", job_id, "files", file.name)) as response:
                size = 0
                with _file_refusals(target, "written"):
                    writer = unfinished.open("xb")
                with writer:
                    while size <= file.size and (block := response.read(_BLOCK)):
                        size += len(block)
                        with _file_refusals(target, "written"):
                            writer.write(block)
                    with _file_refusals(target, "written"):
                        writer.flush()
            if size != file.size:
                raise ServiceError(
                    UNREACHABLE,
                    f"Only {size} of {file.size} bytes of {file.name} arrived from {self.url}: download it again.",
                )
            with _file_refusals(target, "written"):
                unfinished.replace(target)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


class Line:
    """A connection that another thread may close, even while one waits for data from it."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._connection: socket.socket | None = None

    def opened(self, connection: socket.socket) -> None:
        """Replace the previous connection by a new one."""
        self._connection = connection
        if self.closed.is_set():
            self.close()

    def close(self) -> None:
        self.closed.set()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


def resource(*parts: str) -> str:
    """The path of a resource at the service; quotes the parts."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _sent(file: IO[bytes], path: Path, size: int, on_sent: Callable[[int, int], None] | None) -> Iterator[bytes]:
    """The blocks of a file, exactly `size` bytes: the header has announced so many."""
    sent = 0
    while sent < size:
        with _file_refusals(path, "read"):
            block = file.read(min(_BLOCK, size - sent))
        if not block:
            raise ServiceError(FILE, f"{path} became shorter while it was sent: send it again once it is complete.")
        yield block
        sent += len(block)
        if on_sent is not None:
            on_sent(sent, size)


@contextmanager
def _file_refusals(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "choose another folder, or make room there" if done == "written" else "check its path and permissions"
        raise ServiceError(FILE, f"{path} cannot be {done} ({error.strerror or error}): {advice}.") from error
