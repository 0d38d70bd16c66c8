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


class Job(Record):
    """What is wanted and what has become of it."""

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
    """What a Blender has rendered for a job: the source of which the sound is made, as any other."""

    source: Source
    start: Seconds = Field(default=0.0, description="seconds into it")
    duration: Length | None = Field(default=None, description="seconds; else to its end")
