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
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.child import Child
from trt_engine.service.errors import ServiceError
from trt_engine.service.folders import Folders
from trt_engine.service.messages import Cancel, Done, Failed, Loaded, Progressed, Run
from trt_engine.service.models import Error, ErrorCode, Job, JobRequest, JobState, Progress, Worker, WorkerState
from trt_engine.service.settings import WORKERS, Settings
from trt_engine.service.store import Store, Taken

MOST_STARTS = 5
"""Of a job, whatever ended the others."""
MOST_CRASHES = 2
"""Workers that a job may cost."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a worker is started after one has broken; twice as long after each further one in a row."""
STUCK_SECONDS = 120.0
"""A worker that a cancellation does not reach within so long is killed: a step takes less on any machine."""
CLEANING_SECONDS = 3600.0
"""Between two looks for what is too old to be kept."""

WAITING = Progress(stage="waiting", fraction=0.0, seconds_left=None)
STARTING = Progress(stage="starting", fraction=0.0, seconds_left=None)

_log = logging.getLogger(__name__)


@dataclass
class _Device:
    """A device, its worker process and what that works on; `breaks` are those in a row."""

    name: str
    child: Child | None = None
    job: str | None = None
    breaks: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.alive


@dataclass(frozen=True)
class _Died:
    """The worker ended during a job; `how` goes on after “The worker process”."""

    how: str


class Supervisor:
    """Jobs and the workers that carry them out; all of it on one asyncio loop."""

    def __init__(self, settings: Settings) -> None:
        """Take the folder.

        Raises:
            UserError: another service holds it, it cannot be written, or its jobs are of a newer version.
        """
        self._settings = settings
        folder = settings.folder.expanduser().absolute()
        self._store = Store(folder, settings.most_queued)
        self._workers = folder / WORKERS
        try:
            self._folders = Folders(folder)
            self._workers.mkdir(exist_ok=True)
        except OSError as error:
            self._store.close()
            raise UserError(
                f"{folder} cannot be written to ({error.strerror}): make room there, or choose another --folder.",
                ExitCode.NOT_WRITABLE,
            ) from error
        self._devices = [_Device(name) for name in settings.devices]
        self._children: set[Child] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._progress: dict[str, Progress] = {}
        self._changes: dict[str, asyncio.Event] = {}
        self._stopping = False

    async def start(self) -> None:
        """Take up what an earlier service left, and begin to work. Raises UserError where the disk is full."""
        try:
            self._take_up(counted=True)
        except (ServiceError, OSError) as error:
            raise UserError(str(error), ExitCode.NOT_WRITABLE) from error
        self._tasks = [asyncio.create_task(self._serve(device)) for device in self._devices]
        self._tasks.append(asyncio.create_task(self._clean()))

    async def stop(self) -> None:
        """End the workers and give the folder back; running jobs are queued again. Ends what `changes` gives, too."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(child.end() for child in self._children))
        for device in self._devices:
            device.child = None
        try:
            self._take_up(counted=False)
        except (ServiceError, OSError) as error:
            _log.error("%s The next start takes the jobs up.", error)
        for event in self._changes.values():
            event.set()
        self._store.close()

    def submit(self, request: JobRequest, source: Path) -> tuple[Job, bool]:
        """Queue a job; the same request id again is the same job.

        Args:
            request: what is wanted.
            source: its clip, resolved: what the worker opens.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: CONFLICT, the request id was used for another request; QUEUE_FULL; NO_ROOM; SOURCE, its name
                is no text.
        """
        job, new = self._store.create(request, source)
        if new:
            self._wake()
        return self._as_it_is(job), new

    def known(self, request: JobRequest) -> Job | None:
        """The job of a request's id, if there is one. Raises ServiceError (CONFLICT) where it is another request's."""
        job = self._store.known(request)
        return None if job is None else self._as_it_is(job)

    def job(self, job_id: str) -> Job:
        """A job as it is now. Raises ServiceError (NOT_FOUND)."""
        return self._as_it_is(self._store.job(job_id))

    def jobs(self, state: JobState | None, limit: int) -> list[Job]:
        """Jobs of a state, or all, the newest first."""
        return [self._as_it_is(job) for job in self._store.jobs(state, limit)]

    def changes(self, job_id: str) -> AsyncIterator[Job]:
        """A job as it is now, then the newest after each change, until it has ended.

        Who is slow misses what came between, and nothing waits for him.

        Raises:
            ServiceError: NOT_FOUND, at the call.
        """
        self._store.job(job_id)
        return self._follow(job_id)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, at once and for good; its worker is free within one sampler step. A job that has ended stays
        as it is. Raises ServiceError (NOT_FOUND, NO_ROOM)."""
        self._store.job(job_id)
        if self._store.cancel(job_id):
            for device in self._devices:
                if device.job == job_id and device.child is not None:
                    device.child.send(Cancel(job=job_id))
                    asyncio.get_running_loop().call_later(STUCK_SECONDS, _kill_stuck, device, job_id)
            self._changed(job_id)
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
        return [
            Worker(
                device=device.name,
                state=WorkerState.BUSY if device.job else WorkerState.IDLE if device.alive else WorkerState.STOPPED,
                loaded=device.child.models if device.child is not None and device.alive else (),
            )
            for device in self._devices
        ]

    async def unload(self) -> None:
        """End the idle workers, which gives their memory back."""
        await asyncio.gather(*(self._end(device) for device in self._devices if device.job is None))

    # --- What clients see ---------------------------------------------------------------------------------------

    def _as_it_is(self, job: Job) -> Job:
        if job.state.ended:
            return job
        progress = WAITING if job.state is JobState.QUEUED else self._progress.get(job.id, STARTING)
        return job.model_copy(update={"progress": progress})

    async def _follow(self, job_id: str) -> AsyncIterator[Job]:
        while not self._stopping:
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

    def _changed(self, job_id: str) -> None:
        if event := self._changes.pop(job_id, None):
            event.set()

    def _wake(self) -> None:
        for device in self._devices:
            device.wake.set()

    # --- Working through the queue ------------------------------------------------------------------------------

    async def _serve(self, device: _Device) -> None:
        while True:
            try:
                taken = self._store.take()
            except ServiceError as error:
                _log.error(error.sentence)
                await asyncio.sleep(LONGEST_PAUSE)
                continue
            if taken is None:
                await self._rest(device)
                continue
            device.job = taken.id
            self._changed(taken.id)
            try:
                await self._carry_out(device, taken)
            except Exception:
                _log.exception("Job %s", taken.id)
                sentence = "The service failed at this job: ask again; its log says more."
                await self._fail(taken, Error(code=ErrorCode.INTERNAL, sentence=sentence))
            finally:
                device.job = None
                self._progress.pop(taken.id, None)
                self._changed(taken.id)
            if device.breaks:
                await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (device.breaks - 1)))

    async def _rest(self, device: _Device) -> None:
        """Until there may be a job; the worker is ended when that takes long."""
        device.wake.clear()
        try:
            async with asyncio.timeout(self._settings.idle_seconds if device.alive else None):
                await device.wake.wait()
        except TimeoutError:
            await self._end(device)

    async def _carry_out(self, device: _Device, taken: Taken) -> None:
        if taken.starts > MOST_STARTS:
            sentence = f"The job was begun {MOST_STARTS} times and never came to an end: ask again for less at a time."
            await self._fail(taken, Error(code=ErrorCode.CRASHED, sentence=sentence))
            return
        attempt: Path | None = None
        ended: Done | Failed | _Died
        try:
            attempt = self._folders.attempt()
            ended = await self._attempt(device, taken, attempt)
            if isinstance(ended, Done) and not self._has_ended(taken.id):
                self._folders.publish(attempt, taken.id)
        except OSError as error:
            sentence = f"The service cannot write to its folder ({error.strerror}): make room there."
            ended = Failed(job=taken.id, error=Error(code=ErrorCode.NO_ROOM, sentence=sentence))
        finally:
            # On a full disk this makes the room that the next lines take.
            if attempt is not None:
                shutil.rmtree(attempt, ignore_errors=True)
        await self._conclude(device, taken, ended)

    async def _conclude(self, device: _Device, taken: Taken, ended: Done | Failed | _Died) -> None:
        """Write down how an attempt ended; a job that was cancelled or removed meanwhile stays so."""
        device.breaks = device.breaks + 1 if isinstance(ended, _Died) or not device.alive else 0
        if isinstance(ended, Done):
            await self._write_down(lambda: self._adopt(taken.id))
            if not self._has_ended(taken.id):
                sentence = "The job's files vanished when they were whole: ask again, and let nothing else delete them."
                await self._fail(taken, Error(code=ErrorCode.INTERNAL, sentence=sentence))
        elif isinstance(ended, Failed):
            await self._fail(taken, ended.error)
        elif taken.crashes + 1 < MOST_CRASHES:
            _log.warning("Job %s is tried again: the worker process %s.", taken.id, ended.how)
            await self._write_down(lambda: self._store.requeue(taken.id, crashed=True))
            self._wake()
        else:
            sentence = (
                f"The worker process {ended.how}; it was the second one that this job cost: ask for a shorter part or "
                f"for fewer takes, with more memory free."
            )
            await self._fail(taken, Error(code=ErrorCode.CRASHED, sentence=sentence))

    async def _fail(self, taken: Taken, error: Error) -> None:
        await self._write_down(lambda: self._store.fail(taken.id, error))

    async def _write_down(self, change: Callable[[], object]) -> None:
        """Change the store, however long that takes on a full disk: what has happened is no longer to be refused."""
        while True:
            try:
                change()
                return
            except ServiceError as error:
                _log.error(error.sentence)
                await asyncio.sleep(FIRST_PAUSE)

    # --- Workers ------------------------------------------------------------------------------------------------

    async def _attempt(self, device: _Device, taken: Taken, attempt: Path) -> Done | Failed | _Died:
        """Let the device's worker carry out a job, in a folder of its own."""
        if not device.alive:
            await self._end(device)
            try:
                device.child = await Child.start(device.name, self._workers)
            except OSError as error:
                return _Died(f"could not be started ({error.strerror})")
            self._children.add(device.child)
        child = device.child
        assert child is not None
        run = Run(
            job=taken.id,
            request=taken.request,
            source=taken.source,
            attempt=attempt,
            results=self._folders.results(taken.id),
            most_seconds=self._settings.most_seconds,
        )
        child.send(run)
        if self._has_ended(taken.id):  # cancelled while the worker was started
            child.send(Cancel(job=taken.id))
        while (event := await child.event()) is not None:
            if isinstance(event, Loaded):
                child.models = event.models
            elif isinstance(event, Progressed):
                self._progress[taken.id] = event.progress
                self._changed(taken.id)
            else:
                if isinstance(event, Failed) and event.broken:
                    await self._end(device)
                return event
        return _Died(await self._end(device))

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self._store.job(job_id).state.ended
        except ServiceError:
            return True

    async def _end(self, device: _Device) -> str:
        """End a device's worker, if there is one; says how it ended."""
        child, device.child = device.child, None
        if child is None:
            return "was not there"
        how = await child.end()
        self._children.discard(child)
        return how

    # --- Between the store and the files ------------------------------------------------------------------------

    def _take_up(self, *, counted: bool) -> None:
        """No worker is there: jobs whose files are whole are done, the others that were running are queued again;
        `counted` as a start, or ended in good order."""
        self._folders.sweep()
        for job_id in self._store.live():
            if not self._adopt(job_id):
                self._store.requeue(job_id, crashed=False, counted=counted)

    def _adopt(self, job_id: str) -> bool:
        """Whether a job's files lie whole in its folder: then it is done, if it has not ended otherwise before."""
        result = self._folders.result(job_id)
        if result is None or not self._store.finish(job_id, result):
            self._folders.discard(job_id)
        return result is not None

    async def _clean(self) -> None:
        """Forget jobs that ended too long ago."""
        while True:
            for job_id in self._store.ended_before(datetime.now(UTC) - timedelta(days=self._settings.keep_days)):
                try:
                    self.remove(job_id)
                except ServiceError as error:
                    _log.error(error.sentence)
                await asyncio.sleep(0)
            await asyncio.sleep(CLEANING_SECONDS)


def _kill_stuck(device: _Device, job_id: str) -> None:
    if device.job == job_id and device.child is not None:
        _log.warning("The worker of %s does not react: it is killed.", device.name)
        device.child.kill()
