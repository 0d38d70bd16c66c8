"""Gives jobs to workers and watches them."""

from collections.abc import AsyncIterator
from pathlib import Path

from trt_engine.service.models import Job, JobRequest, JobState, Worker
from trt_engine.service.settings import Settings


class Supervisor:
    """Jobs and the workers that carry them out; all of it on one asyncio loop.

    Interim: signatures only, the bodies follow.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the folder.

        Raises:
            UserError: another service holds it, it cannot be written, or its jobs are of a newer version.
        """
        raise NotImplementedError

    async def start(self) -> None:
        """Take up what an earlier service left, and begin to work."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End the workers; running jobs are queued again. Ends what `changes` gives, too."""
        raise NotImplementedError

    def submit(self, request: JobRequest, source: Path) -> tuple[Job, bool]:
        """Queue a job; the same request id again is the same job.

        Args:
            request: what is wanted.
            source: its clip, resolved: what the worker opens.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: CONFLICT, the request id was used for another request; QUEUE_FULL; NO_ROOM.
        """
        raise NotImplementedError

    def job(self, job_id: str) -> Job:
        """A job as it is now. Raises ServiceError (NOT_FOUND)."""
        raise NotImplementedError

    def jobs(self, state: JobState | None, limit: int) -> list[Job]:
        """Jobs of a state, or all, the newest first."""
        raise NotImplementedError

    def changes(self, job_id: str) -> AsyncIterator[Job]:
        """A job as it is now, then the newest after each change, until it has ended. Raises ServiceError (NOT_FOUND),
        at the call."""
        raise NotImplementedError

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, at once and for good; its worker is free within one sampler step. A job that has ended stays
        as it is. Raises ServiceError (NOT_FOUND)."""
        raise NotImplementedError

    def remove(self, job_id: str) -> None:
        """Forget an ended job and delete its files. Raises ServiceError (NOT_FOUND; CONFLICT where it has not ended)."""
        raise NotImplementedError

    def workers(self) -> list[Worker]:
        """One of each device."""
        raise NotImplementedError

    async def unload(self) -> None:
        """End the idle workers, which gives their memory back."""
        raise NotImplementedError
