"""Gives jobs to workers, watches them, and loses none.

A job's state lies in the store, its files in folders; no transaction spans both. The order of the steps makes up for
it, and after every crash the next start, or the retry, comes to the same end as if there had been none:

1. `take`: the job is running. A crash from here to 4 leaves it so, with nothing in `results/`: it is queued again.
2. The worker fills `attempts/<random>/`. What an attempt left that did not come to 4 is deleted at the next start; an
   old worker that still writes there (it ends with the service's pipes) writes into a folder that nobody will look at.
3. The worker writes `.result.json` there, the last file, when all others are on the disk.
4. The folder is renamed to `results/<job id>/`, by the one service that holds the lock, and only of a job that is still
   running. The rename is atomic: the files are there all, or none.
5. `finish`: the job is done. A crash between 4 and 5 leaves a job that has not ended but has its folder: the start
   finds the folder and goes on with 5. So no job that got to 4 is computed again.

A cancelled job ends in the store first, whereupon 4 and 5 refuse it; a removed one loses its folder by one rename
before the store forgets it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.jobs.blenders import Blender, Blenders
from trt_engine.service.jobs.device import Device, Work, Worker, adopt
from trt_engine.service.jobs.folders import Folders
from trt_engine.service.jobs.job import Job, JobState, RenderedClip
from trt_engine.service.jobs.live import Live
from trt_engine.service.jobs.store import Store
from trt_engine.service.kinds.registry import AnyRequest
from trt_engine.service.kinds.request import Lane
from trt_engine.service.records import Progress
from trt_engine.service.settings import WORKERS, Settings

SOUND = "sound"
"""The device of the jobs that need no model, which so wait for no generation."""
CLEANING_SECONDS = 3600.0
"""Between two looks for what is too old to be kept."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Jobs and who carries them out, workers and Blenders; all of it on one asyncio loop."""

    def __init__(self, settings: Settings) -> None:
        """Take the folder.

        Raises:
            UserError: another service holds it, it cannot be written, or its jobs are of a newer version.
        """
        self._settings = settings
        folder = settings.folder
        self._store = Store(folder, settings.most_queued)
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
        work = Work(settings, self._store, self._folders, self._live, self._wake)
        self._devices = [Device(name, Lane.MODEL, work) for name in settings.devices]
        self._devices.append(Device(SOUND, Lane.SOUND, work))
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up what an earlier service left, and begin to work. Raises UserError where the disk is full."""
        try:
            await self._take_up(counted=True)
        except (ServiceError, OSError) as error:
            raise UserError(str(error), ExitCode.NOT_WRITABLE) from error
        self._blenders.start()
        self._tasks = [asyncio.create_task(device.serve()) for device in self._devices]
        self._tasks.append(asyncio.create_task(self._clean()))

    async def stop(self) -> None:
        """End the workers and give the folder back; running jobs are queued again. Ends what `changes` and
        `blender_requests` give, too."""
        self._live.end()
        self._blenders.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(device.end() for device in self._devices))
        try:
            await self._take_up(counted=False)
        except (ServiceError, OSError) as error:
            _log.error("%s The next start takes the jobs up.", error)
        self._store.close()

    @property
    def working(self) -> bool:
        """Whether a job waits or runs."""
        return bool(self._store.live())

    def submit(self, request: AnyRequest, files: Mapping[str, Path]) -> tuple[Job, bool]:
        """Queue a job; the same request id again is the same job.

        Args:
            request: what is wanted.
            files: its sources, resolved, by the fields that name them: what the worker opens.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: CONFLICT, the request id was used for another request; NO_BLENDER, the source is a scene;
                QUEUE_FULL; NO_ROOM; SOURCE, a name is no text.
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
        """The job of a request's id, if there is one. Raises ServiceError (CONFLICT) where it is another request's."""
        job = self._store.known(request)
        return None if job is None else self._live.as_it_is(job)

    def job(self, job_id: str) -> Job:
        """A job as it is now. Raises ServiceError (NOT_FOUND)."""
        return self._live.job(job_id)

    def jobs(self, state: JobState | None, limit: int) -> list[Job]:
        """Jobs of a state, or all, the newest first."""
        return [self._live.as_it_is(job) for job in self._store.jobs(state, limit)]

    def changes(self, job_id: str) -> AsyncIterator[Job]:
        """A job as it is now, then the newest after each change, until it has ended.

        Who is slow misses what came between, and nothing waits for him.

        Raises:
            ServiceError: NOT_FOUND, at the call.
        """
        self._store.job(job_id)
        return self._live.follow(job_id)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, at once and for good; its worker is free within one sampler step. A job that has ended stays
        as it is. Raises ServiceError (NOT_FOUND, NO_ROOM)."""
        self._store.job(job_id)
        if self._store.cancel(job_id):
            for device in self._devices:
                device.cancel(job_id)
            self._live.left(job_id)
        return self.job(job_id)

    def remove(self, job_id: str) -> None:
        """Forget an ended job and delete its files.

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
                f"The service cannot delete the files of job {job_id} ({error.strerror}): look after its disk.",
            ) from error
        self._store.remove(job_id)

    def workers(self) -> list[Worker]:
        """One of each device."""
        return [device.worker for device in self._devices]

    async def unload(self) -> None:
        """End the idle workers, which gives their memory back."""
        await asyncio.gather(*(device.unload() for device in self._devices))

    # --- Scenes -------------------------------------------------------------------------------------------------

    def blenders(self) -> tuple[Blender, ...]:
        """Those that are connected, who came last as the last one."""
        return self._blenders.connected()

    def blender_requests(self, blender: str, name: str, renders: bool) -> AsyncIterator[Job]:
        """Be a Blender with an id of its own and a name for people, for as long as this is iterated over: the jobs that
        it is to render, each once; none where it does not render."""
        return self._blenders.requests(blender, name, renders)

    def rendering(self, job_id: str, progress: Progress) -> Job:
        """A Blender says how far it is with a job, which says whether it is still wanted. Raises ServiceError
        (NOT_FOUND)."""
        self._store.job(job_id)
        self._blenders.rendering(job_id, progress)
        return self.job(job_id)

    def give_clip(self, job_id: str, picture: RenderedClip, path: Path) -> Job:
        """A Blender gives what it has rendered for a job, which goes on as any other. An ended one stays as it is.

        Raises:
            ServiceError: NOT_FOUND; CONFLICT, it does not wait for a picture, or has another one; NO_ROOM; SOURCE.
        """
        job = self.job(job_id)
        if job.state.ended or self._store.picture(job_id) == picture:
            return job
        if not self._store.give(job_id, picture, path):
            raise _waits_for_none(job_id)
        self._blenders.rendered(job_id)
        self._wake()
        return self.job(job_id)

    def refuse(self, job_id: str, message: str) -> Job:
        """A Blender does not render for a job, which fails with its message. One that has ended stays as it is.

        Raises:
            ServiceError: NOT_FOUND; CONFLICT, it does not wait for a picture; NO_ROOM.
        """
        if not self.job(job_id).state.ended:
            if not self._store.waits(job_id):
                raise _waits_for_none(job_id)
            self._store.fail(job_id, Error(code=ErrorCode.REFUSED, message=message))
            self._live.left(job_id)
        return self.job(job_id)

    # --- Between the store and the files ------------------------------------------------------------------------

    def files_in_use(self) -> set[Path]:
        """The sources of all jobs that have not ended."""
        return self._store.files_in_use()

    def _wake(self) -> None:
        for device in self._devices:
            device.wake()

    async def _take_up(self, *, counted: bool) -> None:
        """No worker is there: jobs whose files are whole are done, the others that were running are queued again;
        `counted` as a start, or ended in good order."""
        await asyncio.to_thread(self._folders.sweep)
        for job_id in self._store.live():
            if not adopt(job_id, self._store, self._folders):
                self._store.requeue(job_id, crashed=False, counted=counted)

    async def _clean(self) -> None:
        """Forget jobs that ended too long ago."""
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
        ErrorCode.CONFLICT, f"The job {job_id} does not wait for a Blender's picture, or has another one."
    )
