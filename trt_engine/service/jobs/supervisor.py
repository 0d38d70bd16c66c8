"""Gives jobs to workers, watches them, and loses none of them.

A job's state is in the store, its files in folders; no transaction spans both. The order of the steps makes up for
that: after any crash, the next start or the retry ends as if there had been none:

1. `take`: the job is running. A crash before 4 leaves it so, with nothing in `results/`: it is queued again.
2. The worker fills `attempts/<random>/`. The next start deletes attempts that did not reach 4; an old worker that still
   writes there (it ends with the service's pipes) writes into a folder that nobody reads.
3. The worker writes `.result.json` there last, when all other files are on the disk.
4. The service that holds the lock renames the folder to `results/<job id>/`, only for a job that is still running. The
   rename is atomic: all files are there, or none.
5. `finish`: the job is done. A crash between 4 and 5 leaves a job that has not ended but has its folder: the next start
   finds the folder and continues with 5. So no job that reached 4 is computed again.

A cancelled job ends in the store first, and 4 and 5 then refuse it. Removing a job renames its folder away before the
store forgets it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.jobs.blenders import Blender, Blenders
from trt_engine.service.jobs.device import Device, Shared, Worker, adopt
from trt_engine.service.jobs.folders import Folders
from trt_engine.service.jobs.job import Job, JobState, RenderedClip
from trt_engine.service.jobs.live import Live
from trt_engine.service.jobs.store import Store
from trt_engine.service.kinds.registry import AnyRequest
from trt_engine.service.kinds.request import Lane
from trt_engine.service.records import Progress
from trt_engine.service.settings import WORKERS, Settings

SOUND = "sound"
"""The device for jobs that need no model, so that they do not wait for a generation."""
CLEANING_SECONDS = 3600.0
"""Between two removals of expired jobs."""

_log = logging.getLogger(__name__)


class Supervisor:
    """The jobs, and the workers and Blenders that carry them out; all on one asyncio loop."""

    def __init__(self, settings: Settings) -> None:
        """Lock the folder and open its jobs.

        Raises:
            UserError: another service uses the folder, it cannot be written, or its jobs are of a newer version.
        """
        self._settings = settings
        folder = settings.folder
        self._store = Store(folder, settings.max_queued)
        try:
            self._folders = Folders(folder)
            (folder / WORKERS).mkdir(exist_ok=True)
        except OSError as error:
            self._store.close()
            raise UserError(
                f"{folder} cannot be written to ({error.strerror}): make room there, or choose another --folder.",
                ExitCode.NOT_WRITABLE,
            ) from error
        self._live = Live(self._store)
        self._blenders = Blenders(self._store, self._live)
        shared = Shared(settings, self._store, self._folders, self._live, self._wake)
        self._devices = [Device(name, Lane.MODEL, shared) for name in settings.devices]
        self._devices.append(Device(SOUND, Lane.SOUND, shared))
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Resume what an earlier service left, and start the devices. Raises UserError if the disk is full."""
        try:
            await self._resume(counted=True)
        except (ServiceError, OSError) as error:
            raise UserError(str(error), ExitCode.NOT_WRITABLE) from error
        self._blenders.start()
        self._tasks = [asyncio.create_task(device.serve()) for device in self._devices]
        self._tasks.append(asyncio.create_task(self._clean()))

    async def stop(self) -> None:
        """End the workers and unlock the folder; running jobs are queued again. Also ends the iterators of `changes`
        and `blender_requests`."""
        self._live.end()
        self._blenders.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(device.end() for device in self._devices))
        try:
            await self._resume(counted=False)
        except (ServiceError, OSError) as error:
            _log.error("%s The next start resumes the jobs.", error)
        self._store.close()

    @property
    def working(self) -> bool:
        """Whether a job is queued or running."""
        return bool(self._store.live())

    def submit(self, request: AnyRequest, files: Mapping[str, Path]) -> tuple[Job, bool]:
        """Queue a job; a repeated request id returns the existing job.

        Args:
            request: the request.
            files: the resolved paths of its input files, by the fields that name them; the worker opens these.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: CONFLICT, the request id was used for another request; NO_BLENDER, the source is a scene and
                no Blender is connected; QUEUE_FULL; NO_ROOM; SOURCE, a path is not valid Unicode.
        """
        if (known := self.known(request)) is not None:
            return known, False
        blender = self._blenders.choose() if request.lane is Lane.BLENDER else None
        job, _ = self._store.create(request, files, blender)
        if blender is None:
            self._wake()
        else:
            self._blenders.asked(blender, job.id)
        return self._live.as_it_is(job), True

    def known(self, request: AnyRequest) -> Job | None:
        """The job with the request's id, if any. Raises ServiceError (CONFLICT) if that job has another request."""
        job = self._store.known(request)
        return None if job is None else self._live.as_it_is(job)

    def job(self, job_id: str) -> Job:
        """The current state of a job. Raises ServiceError (NOT_FOUND)."""
        return self._live.job(job_id)

    def jobs(self, state: JobState | None, limit: int) -> list[Job]:
        """Jobs in a state (None: any), newest first."""
        return [self._live.as_it_is(job) for job in self._store.jobs(state, limit)]

    def changes(self, job_id: str) -> AsyncIterator[Job]:
        """The current state of a job, then its newest state after each change, until it has ended.

        A slow reader skips intermediate states; nothing waits for it.

        Raises:
            ServiceError: NOT_FOUND, when called.
        """
        self._store.job(job_id)
        return self._live.follow(job_id)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job at once; its worker stops within one sampler step. An ended job stays as it is. Raises
        ServiceError (NOT_FOUND, NO_ROOM)."""
        self._store.job(job_id)
        if self._store.cancel(job_id):
            for device in self._devices:
                device.cancel(job_id)
            self._live.left(job_id)
        return self.job(job_id)

    def remove(self, job_id: str) -> None:
        """Remove an ended job and delete its files.

        Raises:
            ServiceError: NOT_FOUND; CONFLICT, it has not ended; NO_ROOM, the disk is full or refuses.
        """
        if not self._store.job(job_id).state.ended:
            raise ServiceError(ErrorCode.CONFLICT, f"The job {job_id} has not ended: cancel it first.")
        try:
            self._folders.discard(job_id)
        except OSError as error:
            raise ServiceError(
                ErrorCode.NO_ROOM,
                f"The service cannot delete the files of job {job_id} ({error.strerror}): check its disk.",
            ) from error
        self._store.remove(job_id)

    def workers(self) -> list[Worker]:
        """The worker of each device."""
        return [device.worker for device in self._devices]

    async def unload(self) -> None:
        """End the idle workers, which frees their memory."""
        await asyncio.gather(*(device.unload() for device in self._devices))

    # --- Scenes -------------------------------------------------------------------------------------------------

    def blenders(self) -> tuple[Blender, ...]:
        """The connected Blenders, in the order in which they connected."""
        return self._blenders.connected()

    def blender_requests(self, blender: str, name: str, renders: bool) -> AsyncIterator[Job]:
        """Register a Blender by its id and its name for people while this is iterated over: yields each job that it is
        to render once; none if it does not render."""
        return self._blenders.requests(blender, name, renders)

    def rendering(self, job_id: str, progress: Progress) -> Job:
        """Report a Blender's progress with a job; the returned state says whether it has ended. Raises ServiceError
        (NOT_FOUND)."""
        self._store.job(job_id)
        self._blenders.rendering(job_id, progress)
        return self.job(job_id)

    def give_clip(self, job_id: str, clip: RenderedClip, path: Path) -> Job:
        """Continue a job with the clip that a Blender has rendered for it. An ended job stays as it is.

        Raises:
            ServiceError: NOT_FOUND; CONFLICT, the job does not wait for a clip, or has another one; NO_ROOM; SOURCE.
        """
        job = self.job(job_id)
        if job.state.ended or self._store.rendered_clip(job_id) == clip:
            return job
        if not self._store.give(job_id, clip, path):
            raise _waits_for_none(job_id)
        self._blenders.rendered(job_id)
        self._wake()
        return self.job(job_id)

    def refuse(self, job_id: str, message: str) -> Job:
        """Fail a job with the message of a Blender that does not render it. An ended job stays as it is.

        Raises:
            ServiceError: NOT_FOUND; CONFLICT, the job does not wait for a clip; NO_ROOM.
        """
        if not self.job(job_id).state.ended:
            if not self._store.waits(job_id):
                raise _waits_for_none(job_id)
            self._store.fail(job_id, Error(code=ErrorCode.REFUSED, message=message))
            self._live.left(job_id)
        return self.job(job_id)

    # --- Between the store and the files ------------------------------------------------------------------------

    def files_in_use(self) -> set[Path]:
        """The input files of all jobs that have not ended."""
        return self._store.files_in_use()

    def _wake(self) -> None:
        for device in self._devices:
            device.wake()

    async def _resume(self, *, counted: bool) -> None:
        """Without workers: mark jobs with complete files as done, and queue the others again. `counted` is whether a
        start that did not finish counts."""
        await asyncio.to_thread(self._folders.sweep)
        for job_id in self._store.live():
            if not adopt(job_id, self._store, self._folders):
                self._store.requeue(job_id, crashed=False, counted=counted)

    async def _clean(self) -> None:
        """Remove expired jobs, every `CLEANING_SECONDS`."""
        while True:
            for job_id in self._store.ended_before(datetime.now(UTC) - timedelta(days=self._settings.keep_days)):
                try:
                    self.remove(job_id)
                except ServiceError as error:
                    _log.error(error.message)
                await asyncio.sleep(0)
            await asyncio.sleep(CLEANING_SECONDS)


def _waits_for_none(job_id: str) -> ServiceError:
    return ServiceError(
        ErrorCode.CONFLICT, f"The job {job_id} does not wait for a clip from Blender, or has another one."
    )
