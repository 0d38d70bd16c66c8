"""What the service is asked and what it answers: the API's schema is made of these models."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from omniaudio.takes import HIGHEST_RATE, LOWEST_RATE

API_VERSION = 1
"""In the path of every address; another one is another, incompatible API."""

MOST_TAKES = 16
MOST_STEPS = 1000
HIGHEST_SEED = 2**53 - 1
"""The largest integer that every program reads from JSON as it is (RFC 7493, section 2.2)."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Stem = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f./\\:*?\"<>|#%][^\x00-\x1f\x7f/\\:*?\"<>|#%]{0,99}$")]
"""A file's name without folders, for every system and address; none begins with a dot."""
JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
MediaId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorCode(StrEnum):
    """What a client may want to tell apart; people read the sentence."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    SOURCE = "source"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    NO_MODEL = "no_model"
    NO_BACKEND = "no_backend"
    NO_ROOM = "no_room"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Error(_Record):
    """What went wrong: one sentence that says what to do."""

    code: ErrorCode
    sentence: str


class ErrorAnswer(_Record):
    """The body of every answer that is not a success."""

    error: Error


class PathSource(_Record):
    """A clip on the service's own machine, inside one of its allowed roots."""

    path: Annotated[str, Field(min_length=1, max_length=4096, description="absolute; an image sequence has ####")]


class MediaSource(_Record):
    """A clip that was uploaded."""

    media: MediaId = Field(description="an upload's id")


class JobRequest(_Record):
    """A generation that is wanted. Where a value is left out, the model's or the clip's own is taken."""

    source: PathSource | MediaSource
    request_id: RequestId | None = Field(default=None, description="the caller's own: the same again is the same job")
    name: Stem | None = Field(default=None, description="the files' stem; else the source's own")
    model: Stem | None = Field(default=None, description="a name that `omniaudio models` lists; else the best one here")
    backend: Name = "auto"
    start: float = Field(default=0.0, ge=0, le=360_000, description="seconds into the clip")
    duration: float | None = Field(default=None, gt=0, le=360_000, description="seconds; else to the clip's end")
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED)
    takes: int = Field(default=1, ge=1, le=MOST_TAKES)
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    guidance: float | None = Field(default=None, ge=-100, le=100)
    rate: int | None = Field(default=None, ge=LOWEST_RATE, le=HIGHEST_RATE, description="Hz")
    preview: bool = True
    map: bool = True
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")


class JobState(StrEnum):
    """Queued and running jobs survive the service; the others have ended and do not change."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Progress(_Record):
    """How far a job is; a job that waits is at 0, one that has ended has none."""

    stage: str
    fraction: Annotated[float, Field(ge=0, le=1)]
    seconds_left: float | None


class ResultFile(_Record):
    """A file of a take: on the service's machine at `path`, and to be downloaded by its `name`."""

    name: str
    path: str
    size: int


class TakeResult(_Record):
    """The files of a take, and its measures. `sound` is AmbiX (ACN, SN3D), four channels."""

    sound: ResultFile
    sidecar: ResultFile
    preview: ResultFile | None
    map: ResultFile | None
    seed: int
    take: int
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None


class Result(_Record):
    """What a job that is done has made."""

    model: str
    backend: str
    takes: tuple[TakeResult, ...]


class Job(_Record):
    """A generation and what has become of it."""

    id: JobId
    state: JobState
    request: JobRequest
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress | None = None
    result: Result | None = None
    error: Error | None = None


class JobList(_Record):
    """Jobs, the newest first."""

    jobs: tuple[Job, ...]


class Media(_Record):
    """An uploaded clip."""

    id: MediaId
    name: str
    size: int


class WorkerState(StrEnum):
    """What a device's worker process does."""

    STOPPED = "stopped"
    IDLE = "idle"
    BUSY = "busy"


class Worker(_Record):
    """A device and its worker process; `loaded` are the models that are ready in it."""

    device: str
    state: WorkerState
    loaded: tuple[str, ...]


class WorkerList(_Record):
    """One worker a device."""

    workers: tuple[Worker, ...]


class Health(_Record):
    """That the service is there, and which."""

    service: str = "omniaudio"
    api: int = API_VERSION
    version: str
