"""A device: takes jobs of its lane from the store, and has its worker process carry them out, one at a time."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.jobs.blenders import after_rendering
from trt_engine.service.jobs.child import Child
from trt_engine.service.jobs.folders import Folders, delete
from trt_engine.service.jobs.live import STARTING, Live
from trt_engine.service.jobs.store import Store, Taken
from trt_engine.service.kinds.request import Lane
from trt_engine.service.records import Record
from trt_engine.service.settings import WORKERS, Settings
from trt_engine.service.worker.messages import Cancel, Done, Failed, Loaded, Progressed, Run

MAX_STARTS = 5
"""Of one job, whatever ended the earlier ones."""
MAX_CRASHES = 2
"""Worker crashes that one job may cause."""
FIRST_PAUSE, MAX_PAUSE = 0.5, 30.0
"""Seconds before a worker is restarted after a crash; doubled after each further crash in a row."""
STUCK_SECONDS = 120.0
"""A worker that has not reacted to a cancellation by then is killed: a step takes less on any machine."""

_log = logging.getLogger(__name__)


class WorkerState(StrEnum):
    """The state of a device's worker process."""

    STOPPED = "stopped"
    IDLE = "idle"
    BUSY = "busy"


class Worker(Record):
    """A device and its worker process; the device `sound` is for jobs without a model. `loaded` names the models in its
    memory."""

    device: str
    state: WorkerState
    loaded: tuple[str, ...]


@dataclass(frozen=True)
class _Died:
    """The worker ended during a job; `how` continues “The worker process”."""

    how: str


class Shared(NamedTuple):
    """What devices share; `requeued` is called when a job is queued again."""

    settings: Settings
    store: Store
    folders: Folders
    live: Live
    requeued: Callable[[], None]


class Device:
    """A device of a lane; all on one asyncio loop."""

    def __init__(self, name: str, lane: Lane, shared: Shared) -> None:
        self._name = name
        self._lane = lane
        self._settings, self._store, self._folders, self._live, self._requeued = shared
        self._child: Child | None = None
        self._children: set[Child] = set()
        self._job: str | None = None
        self._breaks = 0
        """Crashes in a row."""
        self._wake = asyncio.Event()

    @property
    def worker(self) -> Worker:
        """The worker process, as clients see it."""
        state = WorkerState.BUSY if self._job else WorkerState.IDLE if self._alive else WorkerState.STOPPED
        loaded = self._child.models if self._child is not None and self._alive else ()
        return Worker(device=self._name, state=state, loaded=loaded)

    def wake(self) -> None:
        """Look for a job."""
        self._wake.set()

    def cancel(self, job_id: str) -> None:
        """Stop a job, if it is the current one, within one step of the sampler."""
        if self._job == job_id and self._child is not None:
            self._child.send(Cancel(job=job_id))
            asyncio.get_running_loop().call_later(STUCK_SECONDS, self._kill_stuck, job_id)

    async def unload(self) -> None:
        """End an idle worker, which frees its memory."""
        if self._job is None:
            await self._end()

    async def end(self) -> None:
        """End every worker, idle or not; cancel `serve` before."""
        await asyncio.gather(*(child.end() for child in self._children))
        self._child = None

    @property
    def _alive(self) -> bool:
        return self._child is not None and self._child.alive

    def _kill_stuck(self, job_id: str) -> None:
        if self._job == job_id and self._child is not None:
            _log.warning("The worker of %s does not react, and is killed.", self._name)
            self._child.kill()

    async def serve(self) -> None:
        """Carry out the jobs of the queue, for ever."""
        while True:
            try:
                taken = self._store.take(self._lane)
            except ServiceError as error:
                _log.error(error.message)
                await asyncio.sleep(MAX_PAUSE)
                continue
            if taken is None:
                await self._rest()
                continue
            self._job = taken.id
            self._live.report(taken.id, after_rendering(STARTING) if taken.rendered else STARTING)
            try:
                await self._carry_out(taken)
            except Exception:
                _log.exception("Job %s", taken.id)
                message = "The service failed at this job: try again; see its log."
                await self._fail(taken, Error(code=ErrorCode.INTERNAL, message=message))
            finally:
                self._job = None
                self._live.left(taken.id)
            if self._breaks:
                await asyncio.sleep(min(MAX_PAUSE, FIRST_PAUSE * 2 ** (self._breaks - 1)))

    async def _rest(self) -> None:
        """Wait for a job; end the worker if that takes too long."""
        self._wake.clear()
        try:
            async with asyncio.timeout(self._settings.idle_seconds if self._alive else None):
                await self._wake.wait()
        except TimeoutError:
            await self._end()

    async def _carry_out(self, taken: Taken) -> None:
        if taken.starts > MAX_STARTS:
            message = f"The job was started {MAX_STARTS} times and never finished: request less at a time."
            await self._fail(taken, Error(code=ErrorCode.CRASHED, message=message))
            return
        attempt: Path | None = None
        ended: Done | Failed | _Died
        try:
            attempt = self._folders.attempt()
            ended = await self._attempt(taken, attempt)
            if isinstance(ended, Done) and not self._has_ended(taken.id):
                self._folders.publish(attempt, taken.id)
        except OSError as error:
            message = f"The service cannot write to its folder ({error.strerror}): make room there."
            ended = Failed(job=taken.id, error=Error(code=ErrorCode.NO_ROOM, message=message))
        finally:
            # On a full disk this frees the room that the next lines need.
            if attempt is not None:
                await asyncio.to_thread(delete, attempt)
        await self._conclude(taken, ended)

    async def _conclude(self, taken: Taken, ended: Done | Failed | _Died) -> None:
        """Record how an attempt ended; a job that was cancelled or removed meanwhile stays so."""
        self._breaks = self._breaks + 1 if isinstance(ended, _Died) or not self._alive else 0
        if isinstance(ended, Done):
            await self._record(lambda: adopt(taken.id, self._store, self._folders))
            if not self._has_ended(taken.id):
                message = "The job's finished files have vanished: try again, and let nothing else delete them."
                await self._fail(taken, Error(code=ErrorCode.INTERNAL, message=message))
        elif isinstance(ended, Failed):
            await self._fail(taken, ended.error)
        elif taken.crashes + 1 < MAX_CRASHES:
            _log.warning("Job %s is retried: the worker process %s.", taken.id, ended.how)
            await self._record(lambda: self._store.requeue(taken.id, crashed=True))
            self._requeued()
        else:
            message = (
                f"The worker process {ended.how}, for the second time with this job: request a shorter part or fewer "
                f"takes, and free some memory."
            )
            await self._fail(taken, Error(code=ErrorCode.CRASHED, message=message))

    async def _fail(self, taken: Taken, error: Error) -> None:
        await self._record(lambda: self._store.fail(taken.id, error))

    async def _record(self, change: Callable[[], object]) -> None:
        """Change the store; retry on a full disk, since what has happened must be recorded."""
        while True:
            try:
                change()
                return
            except ServiceError as error:
                _log.error(error.message)
                await asyncio.sleep(FIRST_PAUSE)

    async def _attempt(self, taken: Taken, attempt: Path) -> Done | Failed | _Died:
        """Have the worker carry out a job, in the folder `attempt`."""
        if not self._alive:
            await self._end()
            try:
                self._child = await Child.start(self._name, self._settings.folder / WORKERS)
            except OSError as error:
                return _Died(f"could not be started ({error.strerror})")
            self._children.add(self._child)
        child = self._child
        assert child is not None
        run = Run(
            job=taken.id,
            request=taken.request,
            files=dict(taken.files),
            attempt=attempt,
            results=self._folders.results(taken.id),
            max_seconds=self._settings.max_seconds,
        )
        child.send(run)
        if self._has_ended(taken.id):  # cancelled while the worker was started
            child.send(Cancel(job=taken.id))
        while (event := await child.event()) is not None:
            if isinstance(event, Loaded):
                child.models = event.models
            elif isinstance(event, Progressed):
                progress = after_rendering(event.progress) if taken.rendered else event.progress
                self._live.report(taken.id, progress)
            else:
                if isinstance(event, Failed) and event.broken:
                    await self._end()
                return event
        return _Died(await self._end())

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self._store.job(job_id).state.ended
        except ServiceError:
            return True

    async def _end(self) -> str:
        """End the worker, if there is one; returns how it ended."""
        child, self._child = self._child, None
        if child is None:
            return "was not running"
        how = await child.end()
        self._children.discard(child)
        return how


def adopt(job_id: str, store: Store, folders: Folders) -> bool:
    """Whether a job's folder has its complete files; then the job is marked as done, unless it had ended before.

    Raises ServiceError (NO_ROOM) and OSError."""
    result = folders.result(job_id)
    if result is None or not store.finish(job_id, result):
        folders.discard(job_id)
    return result is not None
