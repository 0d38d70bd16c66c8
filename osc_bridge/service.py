"""The engine as the bridge sees it: what it is asked, and what it answers."""

from dataclasses import dataclass
from typing import Protocol

from osc_bridge.ledger import Entry

POLL_SECONDS = 0.25
"""How often the engine is asked how far it is, while there is something to ask about."""


@dataclass(frozen=True)
class Take:
    """A take that lies where the client finds it. `duration` in seconds."""

    number: int
    path: str
    channels: int
    rate: int
    duration: float
    preview: str
    stems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sounding:
    """A source that was recognised, as an answer can hold it: where it is when it begins, in degrees, azimuth
    counter-clockwise from the front; times in seconds of the clip."""

    kind: str
    confidence: float
    azimuth: float
    elevation: float
    start: float
    end: float


@dataclass(frozen=True)
class Inspected:
    """What sounds in a clip: the sources, the kind of the bed (empty: none), and the file that says it all."""

    sources: tuple[Sounding, ...]
    bed: str
    path: str


@dataclass(frozen=True)
class JobView:
    """A job of the engine: `state` is queued, running, done, failed or cancelled; `stage` is empty where there is no
    progress to tell of."""

    job: str
    state: str
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float = -1.0
    code: str = ""
    message: str = ""


class Service(Protocol):
    """What the bridge needs of the engine; every call may take a while, and raises RefusedError."""

    def submit(self, entry: Entry) -> str:
        """Queue a job for a request, or find the one that it has; its id."""
        ...

    def look(self, jobs: list[str]) -> list[JobView]:
        """How far jobs are; raises RefusedError while the engine cannot be reached."""
        ...

    def deliver(self, entry: Entry) -> list[Take]:
        """Put the files of a job that is done where the client finds them; their folder and names are the engine's."""
        ...

    def inspected(self, entry: Entry) -> Inspected:
        """What a recognition that is done has found; it is kept in a file."""
        ...

    def cancel(self, job: str) -> JobView:
        """End a job; how far it is then."""
        ...
