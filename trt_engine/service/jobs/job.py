"""A job, as clients see it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trt_engine.service.errors import Error
from trt_engine.service.kinds.registry import AnyRequest, AnyResult
from trt_engine.service.kinds.request import Length, Seconds, Source
from trt_engine.service.records import Progress, Record

JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class JobState(StrEnum):
    """Queued and running jobs survive the service; the others have ended and no longer change."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Job(Record):
    """A request, its state and its result."""

    id: JobId
    state: JobState
    request: AnyRequest
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress | None = None
    result: AnyResult | None = None
    error: Error | None = None


class RenderedClip(Record):
    """The clip that a Blender has rendered for a job; it becomes the job's source."""

    source: Source
    start: Seconds = Field(default=0.0, description="seconds into the clip")
    duration: Length | None = Field(default=None, description="seconds; else to the clip's end")
