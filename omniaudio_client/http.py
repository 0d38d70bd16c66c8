"""One request at a time to the service, over HTTP: the connection, its errors, and what is tried again.

A transport speaks to the address that it is given and to no other: it follows no redirect and uses no proxy, so that
the token goes nowhere else. Standard library only.
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
"""The client's own codes: nobody answers, or breaks off; nobody answers in time; who answers is no service that this
client knows; a file of this machine cannot be read or written. Other codes are the service's."""

_PAUSES = (0.2, 0.6)
"""Seconds before a call is tried a second and a third time."""
_BLOCK = 1 << 20
_MAX_BYTES = 64 << 20
"""Of an answer in JSON: more than any service has to say."""

T = TypeVar("T")


class ServiceError(Exception):
    """What went wrong: `message` says what to do, `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Transport:
    """A service at an address. Holds no connection, so that threads may share one.

    Raises ServiceError for every answer that is no success, and for what goes wrong on the way.
    """

    def __init__(self, url: str, token: str | None, timeout: float) -> None:
        """Arguments and errors as of `Client`."""
        try:
            parts = urlsplit(url.strip())
            self.host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, self.host, port = urlsplit(""), "", None
        # Anything else would be left out silently, a password even be shown in messages.
        bare = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
        if parts.scheme not in ("http", "https") or not self.host.isascii() or not self.host or not bare:
            raise ServiceError(FOREIGN, f"{url!r} is no address of a service: name one like http://127.0.0.1:4360.")
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise ServiceError("unauthorized", "The token is no such text: copy the service's file `token` as it is.")
        self._secure = parts.scheme == "https"
        self.port = port or (443 if self._secure else 80)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        self.timeout = timeout

    @property
    def local(self) -> bool:
        """Whether the address is this machine's own."""
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
        if response.length:  # what is still to come
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
        """A successful answer, to be read; everything else, and what goes wrong in between, is an ServiceError."""
        seconds = self.timeout if timeout is None else timeout
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=seconds)
        own = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            try:
                connection.request(method, f"/v{API_VERSION}{address}", body, {**own, **headers})
            except ConnectionError:
                # The service may have refused before it had read everything: then its answer is there.
                if connection.sock is None:
                    raise
            if line is not None:
                line.opened(connection.sock)
            response = connection.getresponse()
            if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                raise self._refusal(response)
            yield response
        except TimeoutError as error:
            message = f"The service at {self.url} did not answer within {seconds:g} s: look whether it still works."
            raise ServiceError(TIMEOUT, message) from error
        except ConnectionRefusedError as error:
            message = f"No service answers at {self.url}: start it with `omniaudio serve`, or name its right address."
            raise ServiceError(UNREACHABLE, message) from error
        except (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead) as error:
            message = f"The connection to the service at {self.url} broke off: look whether it still runs."
            raise ServiceError(UNREACHABLE, message) from error
        except (http.client.HTTPException, UnicodeError) as error:
            raise self.foreign() from error
        except OSError as error:
            what = (
                "is not known"
                if isinstance(error, socket.gaierror)
                else f"cannot be reached ({error.strerror or error})"
            )
            raise ServiceError(UNREACHABLE, f"{self.url} {what}: check the address and the network.") from error
        finally:
            connection.close()

    def _refusal(self, response: http.client.HTTPResponse) -> ServiceError:
        """What the service says about an answer that is no success."""
        if response.status < http.HTTPStatus.BAD_REQUEST:
            where = (response.getheader("Location") or "nowhere")[:200]
            return ServiceError(FOREIGN, f"{self.url} leads on to {where}: name the service's own address.")
        try:
            told = json.loads(self.content(response))["error"]
            return ServiceError(str(told["code"]), str(told["message"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        if response.status in (http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.SERVICE_UNAVAILABLE):
            return ServiceError(UNREACHABLE, f"The service at {self.url} is not ready: ask again in a moment.")
        return self.foreign()

    def foreign(self) -> ServiceError:
        return ServiceError(
            FOREIGN,
            f"{self.url} answers, but not as this version of OmniAudio's service does: check the address, and that "
            f"both sides are of the same version.",
        )

    def upload(self, path: Path, on_sent: Callable[[int, int], None] | None = None) -> Media:
        """Send a clip to a service that cannot read this machine's files; it is read from the disk while it is sent.

        Args:
            path: the clip's file.
            on_sent: told the bytes that were sent, and of how many. What it raises ends the upload.
        """
        with _file_refusals(path, "read"):
            file = path.open("rb")
        with file:
            size = os.fstat(file.fileno()).st_size
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            address = f"/media?{urlencode({'name': path.name}, errors='replace')}"
            media: Media = self.once(Media, "POST", address, _sent(file, path, size, on_sent), headers)
        return media

    def download(self, job_id: str, file: ResultFile, target: Path) -> None:
        """A file of a job, to a path of this machine: whole, or nothing is changed there."""
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
                    f"{file.name} came with {size} of {file.size} bytes from {self.url}: download it again.",
                )
            with _file_refusals(target, "written"):
                unfinished.replace(target)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


class Line:
    """A connection that another thread may close, whoever waits for something to come by it."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._connection: socket.socket | None = None

    def opened(self, connection: socket.socket) -> None:
        """A new connection takes the place of the one before."""
        self._connection = connection
        if self.closed.is_set():
            self.close()

    def close(self) -> None:
        self.closed.set()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


def resource(*parts: str) -> str:
    """The address of a thing at the service, of its parts as they are."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _sent(file: IO[bytes], path: Path, size: int, on_sent: Callable[[int, int], None] | None) -> Iterator[bytes]:
    """A file's blocks, as many bytes as it had at first: what was said of it must stay true."""
    sent = 0
    while sent < size:
        with _file_refusals(path, "read"):
            block = file.read(min(_BLOCK, size - sent))
        if not block:
            raise ServiceError(FILE, f"{path} became shorter while it was sent: send it again when it is complete.")
        yield block
        sent += len(block)
        if on_sent is not None:
            on_sent(sent, size)


@contextmanager
def _file_refusals(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "choose another place, or make room there" if done == "written" else "check its path and permissions"
        raise ServiceError(FILE, f"{path} cannot be {done} ({error.strerror or error}): {advice}.") from error
