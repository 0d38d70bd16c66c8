"""Server-sent events: a job's news, and the jobs that wait for a Blender.

Source of the events' form: the WHATWG's HTML standard, section 9.2, "Server-sent events". Standard library only.
"""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from .http import TIMEOUT, UNREACHABLE, Line, ServiceError, Transport
from .records import Job

PATIENCE_SECONDS = 60.0
"""For so long a service may be away while a job is followed."""

_FIRST_PAUSE, _MAX_PAUSE = 0.2, 5.0
"""Seconds before events are asked for again; twice as long after each failure in a row."""
_SILENCE_SECONDS = 45.0
"""The service says something three times as often while a job is followed; after so long the line is dead."""
_MAX_LINE_BYTES = 4 << 20
"""Of a line of an event: more than any service has to say."""


def follow(
    transport: Transport,
    address: str,
    patience: float,
    *,
    what: str,
    line: Line,
    end: Callable[[], Job] | None = None,
) -> Iterator[Job]:
    """The jobs of a stream of events, which is asked for again when it ends, until the line is closed.

    Args:
        transport: the service.
        address: the stream's.
        patience: seconds that the service may be away.
        what: happens when it is started again, for a message.
        line: what may be closed meanwhile.
        end: the job whose end is known, where the service says that there is no news.
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
                f"The service at {transport.url} has been away for {patience:g} s: start it again, and {what}.",
            ) from reason
        line.closed.wait(pause)
        pause = min(2 * pause, _MAX_PAUSE)


def _stream(
    transport: Transport, address: str, known: str, line: Line, end: Callable[[], Job] | None
) -> Iterator[tuple[str, Job | None]]:
    """The events after the one that is known, each with its id; without a job where there is no news."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": known} if known else {})
    wait = max(transport.timeout, _SILENCE_SECONDS)
    with transport.answer("GET", address, headers=headers, timeout=wait, line=line) as response:
        if response.status == HTTPStatus.NO_CONTENT and end is not None:
            yield known, end()
        data: list[str] = []
        while (said := response.readline(_MAX_LINE_BYTES)).endswith(b"\n"):
            name, colon, value = said.decode().rstrip("\r\n").partition(":")
            if not name and colon:
                yield known, None
            elif not name and data:
                yield known, transport.record(Job, "\n".join(data))
                data.clear()
            elif name == "id":
                known = value.removeprefix(" ")
            elif name == "data":
                data.append(value.removeprefix(" "))
        if len(said) == _MAX_LINE_BYTES:
            raise transport.foreign()


class RequestsForBlender(Iterator[Job]):
    """The jobs that wait for this Blender, each once, as they come; as long as this is not closed, it is connected.

    One thread iterates, which waits in between; another one may `close` it. A service that goes away is asked again, as
    `Client.events` does, and knows this Blender again by its id."""

    def __init__(self, transport: Transport, address: str, patience: float) -> None:
        self._line = Line()
        self._told: set[str] = set()
        self._jobs = follow(transport, address, patience, what="Blender connects to it again", line=self._line)

    def __next__(self) -> Job:
        """The next job. Raises StopIteration once this is closed, ServiceError as `Client.events`."""
        try:
            for job in self._jobs:
                if job.id not in self._told:
                    self._told.add(job.id)
                    return job
        except Exception:
            # What reading raises from a connection that was closed meanwhile is of any kind, with TLS.
            if not self._line.closed.is_set():
                raise
        raise StopIteration

    def close(self) -> None:
        """Leave the service, from any thread; who iterates comes to the end at once. Jobs that still wait for this
        Blender fail."""
        self._line.close()
