"""Server-sent events: the changes of a job, and the jobs that wait for a Blender.

Source of the format: the WHATWG's HTML standard, section 9.2, "Server-sent events". Standard library only.
"""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from .http import TIMEOUT, UNREACHABLE, Line, ServiceError, Transport
from .records import Job

PATIENCE_SECONDS = 60.0
"""How long a service may be away while a job is followed."""

_FIRST_PAUSE, _MAX_PAUSE = 0.2, 5.0
"""Seconds before reconnecting; doubled after each failure in a row."""
_SILENCE_SECONDS = 45.0
"""The service sends something every 15 s; after so long without data the connection is dead."""
_MAX_LINE_BYTES = 4 << 20
"""Of a line of an event: more than any service sends."""


def follow(
    transport: Transport,
    address: str,
    patience: float,
    *,
    what: str,
    line: Line,
    end: Callable[[], Job] | None = None,
) -> Iterator[Job]:
    """The jobs of a stream of events, with reconnections, until the line is closed.

    Args:
        transport: the service.
        address: the path of the stream.
        patience: seconds that the service may be away.
        what: what happens after a restart of the service, for a message.
        line: another thread may close it.
        end: returns the ended job, if the service answers that the last known event was its end.
    """
    known, pause, lost = "", _FIRST_PAUSE, time.monotonic()
    while not line.closed.is_set():
        reason: ServiceError | None = None
        try:
            for event, job in _stream(transport, address, known, line, end):
                known, pause, lost = event, _FIRST_PAUSE, time.monotonic()
                if job is not None:
                    yield job
        except ServiceError as error:
            if error.code not in (UNREACHABLE, TIMEOUT):
                raise
            reason = error
        if time.monotonic() - lost > patience:
            raise ServiceError(
                UNREACHABLE,
                f"The service at {transport.url} has been away for {patience:g} s: restart it, and {what}.",
            ) from reason
        line.closed.wait(pause)
        pause = min(2 * pause, _MAX_PAUSE)


def _stream(
    transport: Transport, address: str, known: str, line: Line, end: Callable[[], Job] | None
) -> Iterator[tuple[str, Job | None]]:
    """The events after the known one, each with its id; without a job for a keep-alive."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": known} if known else {})
    wait = max(transport.timeout, _SILENCE_SECONDS)
    with transport.answer("GET", address, headers=headers, timeout=wait, line=line) as response:
        if response.status == HTTPStatus.NO_CONTENT and end is not None:
            yield known, end()
        data: list[str] = []
        while (text := response.readline(_MAX_LINE_BYTES)).endswith(b"\n"):
            name, colon, value = text.decode().rstrip("\r\n").partition(":")
            if not name and colon:
                yield known, None
            elif not name and data:
                yield known, transport.record(Job, "\n".join(data))
                data.clear()
            elif name == "id":
                known = value.removeprefix(" ")
            elif name == "data":
                data.append(value.removeprefix(" "))
        if len(text) == _MAX_LINE_BYTES:
            raise transport.foreign()


class RequestsForBlender(Iterator[Job]):
    """The jobs that wait for this Blender, each once; Blender is connected until this is closed.

    One thread iterates, and blocks until there is a job; another one may `close` it. If the connection breaks, this
    reconnects as `Client.events` does; the service recognises this Blender by its id."""

    def __init__(self, transport: Transport, address: str, patience: float) -> None:
        self._line = Line()
        self._known: set[str] = set()
        self._jobs = follow(transport, address, patience, what="Blender connects to it again", line=self._line)

    def __next__(self) -> Job:
        """Wait for the next job. Raises StopIteration once this is closed, ServiceError as `Client.events` does."""
        try:
            for job in self._jobs:
                if job.id not in self._known:
                    self._known.add(job.id)
                    return job
        except Exception:
            # With TLS, reading from a connection that was closed may raise any exception.
            if not self._line.closed.is_set():
                raise
        raise StopIteration

    def close(self) -> None:
        """Disconnect, from any thread; the iteration ends at once. Jobs that still wait for this Blender fail."""
        self._line.close()
