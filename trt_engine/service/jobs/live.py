"""Jobs that have not ended, as clients see them: how far they are, and that something has changed."""

import asyncio
from collections.abc import AsyncIterator

from trt_engine.service.errors import ServiceError
from trt_engine.service.jobs.job import Job, JobState
from trt_engine.service.jobs.store import Store
from trt_engine.service.records import Progress

WAITING = Progress(stage="waiting", fraction=0.0, seconds_left=None)
STARTING = Progress(stage="starting", fraction=0.0, seconds_left=None)


class Live:
    """What the store does not keep of jobs; all of it on one asyncio loop.

    Who follows a job is woken when it changes and reads how it is by then: nothing is kept for who is slow."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._progress: dict[str, Progress] = {}
        self._changes: dict[str, asyncio.Event] = {}
        self._ending = False

    def job(self, job_id: str) -> Job:
        """A job as it is now. Raises ServiceError (NOT_FOUND)."""
        return self.as_it_is(self._store.job(job_id))

    def as_it_is(self, job: Job) -> Job:
        """A job of the store with how far it is."""
        if job.state.ended:
            return job
        otherwise = WAITING if job.state is JobState.QUEUED else STARTING
        return job.model_copy(update={"progress": self._progress.get(job.id, otherwise)})

    def report(self, job_id: str, progress: Progress) -> None:
        """How far a job is."""
        self._progress[job_id] = progress
        self.changed(job_id)

    def left(self, job_id: str) -> None:
        """Nobody works on a job any more: it has ended, or waits again."""
        self._progress.pop(job_id, None)
        self.changed(job_id)

    def changed(self, job_id: str) -> None:
        """Wake who follows a job."""
        if event := self._changes.pop(job_id, None):
            event.set()

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """A job as it is now, then the newest after each change, until it has ended or is forgotten, or all ends."""
        while not self._ending:
            try:
                job = self.job(job_id)
            except ServiceError:  # removed meanwhile
                return
            if job.state.ended:
                yield job
                return
            # Before the yield, so that what happens during it is not missed.
            event = self._changes.setdefault(job_id, asyncio.Event())
            yield job
            await event.wait()

    def end(self) -> None:
        """Let go who follows a job."""
        self._ending = True
        for event in self._changes.values():
            event.set()
