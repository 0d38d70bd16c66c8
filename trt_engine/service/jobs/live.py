"""Jobs that have not ended, as clients see them: their progress and their changes."""

import asyncio
from collections.abc import AsyncIterator

from trt_engine.service.errors import ServiceError
from trt_engine.service.jobs.job import Job, JobState
from trt_engine.service.jobs.store import Store
from trt_engine.service.records import Progress

WAITING = Progress(stage="waiting", fraction=0.0, seconds_left=None)
STARTING = Progress(stage="starting", fraction=0.0, seconds_left=None)


class Live:
    """The state of jobs that the store does not keep; all on one asyncio loop.

    A follower is woken when its job changes, and reads the current state: no events are queued for slow readers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._progress: dict[str, Progress] = {}
        self._changes: dict[str, asyncio.Event] = {}
        self._ending = False

    def job(self, job_id: str) -> Job:
        """The current state of a job. Raises ServiceError (NOT_FOUND)."""
        return self.as_it_is(self._store.job(job_id))

    def as_it_is(self, job: Job) -> Job:
        """A job of the store with its progress."""
        if job.state.ended:
            return job
        otherwise = WAITING if job.state is JobState.QUEUED else STARTING
        return job.model_copy(update={"progress": self._progress.get(job.id, otherwise)})

    def report(self, job_id: str, progress: Progress) -> None:
        """Set the progress of a job."""
        self._progress[job_id] = progress
        self.changed(job_id)

    def left(self, job_id: str) -> None:
        """Forget the progress of a job that has ended, or is queued again."""
        self._progress.pop(job_id, None)
        self.changed(job_id)

    def changed(self, job_id: str) -> None:
        """Wake the followers of a job."""
        if event := self._changes.pop(job_id, None):
            event.set()

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """The current state of a job, then its newest state after each change, until it has ended or was removed, or
        the service ends."""
        while not self._ending:
            try:
                job = self.job(job_id)
            except ServiceError:  # removed meanwhile
                return
            if job.state.ended:
                yield job
                return
            # Before the yield, so that no change during it is missed.
            event = self._changes.setdefault(job_id, asyncio.Event())
            yield job
            await event.wait()

    def end(self) -> None:
        """End all followers."""
        self._ending = True
        for event in self._changes.values():
            event.set()
