"""The interface of the service that the bridge uses."""

from dataclasses import dataclass
from typing import Protocol

from osc_bridge.ledger import Entry

POLL_SECONDS = 0.25
"""How often the bridge asks the service for the state of open jobs."""


@dataclass(frozen=True)
class Take:
    """A take, at paths that the client can open. `duration` in seconds."""

    number: int
    path: str
    channels: int
    rate: int
    duration: float
    preview: str
    stems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sounding:
    """A recognised source with its direction when it begins: degrees, azimuth counter-clockwise from the front; times
    in seconds of the clip."""

    kind: str
    confidence: float
    azimuth: float
    elevation: float
    start: float
    end: float


@dataclass(frozen=True)
class Inspected:
    """The sources of a clip, the kind of its bed (empty: none), and the file with all of it."""

    sources: tuple[Sounding, ...]
    bed: str
    path: str


@dataclass(frozen=True)
class JobView:
    """A job of the service. `state` is queued, running, done, failed or cancelled; `stage` is empty if there is no
    progress; `seconds_left` is -1 if unknown."""

    job: str
    state: str
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float = -1.0
    code: str = ""
    message: str = ""


class Service(Protocol):
    """What the bridge needs of the service. Every call may take a while, and may raise RefusedError."""

    def submit(self, entry: Entry) -> str:
        """Queue a job for a request, or find the existing one; returns its id."""
        ...

    def look(self, jobs: list[str]) -> list[JobView]:
        """The state of jobs, or of some of them. Raises RefusedError while the service cannot be reached."""
        ...

    def deliver(self, entry: Entry) -> list[Take]:
        """Put the files of a finished job where the client can open them; folder and names are the service's choice."""
        ...

    def inspected(self, entry: Entry) -> Inspected:
        """The sources of a finished inspection, also kept in a file."""
        ...

    def cancel(self, job: str) -> JobView:
        """Cancel a job and return its state."""
        ...
