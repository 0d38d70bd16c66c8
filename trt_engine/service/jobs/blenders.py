"""The connected Blenders, and the jobs that wait for one of them to render its scene.

A Blender is connected while it reads its stream of requests. It chooses an id, by which the service recognises it after
a broken connection or a restart; the store knows which job is whose. The jobs of a Blender that does not reconnect
within `AWAY_SECONDS` fail: another Blender has another scene open.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.jobs.job import Job
from trt_engine.service.jobs.live import Live
from trt_engine.service.jobs.store import Store
from trt_engine.service.records import Progress, Record

AWAY_SECONDS = 15.0
"""A Blender whose stream broke reconnects every five seconds."""
RENDERING_SHARE = 0.5
"""The share of the rendering in a job's progress; how long it will take is unknown."""
WAITING = Progress(stage="waiting for Blender", fraction=0.0, seconds_left=None)
RENDERED = Progress(stage="waiting", fraction=RENDERING_SHARE, seconds_left=None)

_log = logging.getLogger(__name__)


class Blender(Record):
    """A connected Blender: the id that it chose, and the name of its open file."""

    id: str
    name: str


@dataclass
class _Blender:
    """A connected Blender. It may have several streams: a new one can begin before the old one is known to be dead."""

    name: str
    renders: bool
    streams: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Blenders:
    """Gives jobs to Blenders; all on one asyncio loop."""

    def __init__(self, store: Store, live: Live) -> None:
        self._store = store
        self._live = live
        self._connected: dict[str, _Blender] = {}
        """By id, in the order in which they connected."""
        self._away: dict[str, asyncio.TimerHandle] = {}
        """The timers of Blenders that have jobs and are not connected."""
        self._names: dict[str, str] = {}
        self._ending = False

    def start(self) -> None:
        """Let the jobs of an earlier service wait for their Blenders to reconnect."""
        for blender, job in self._store.waiting():
            self._live.report(job.id, WAITING)
            if blender not in self._away:
                self._wait_for(blender)

    def stop(self) -> None:
        """End the streams of all Blenders; their jobs wait for the next service."""
        self._ending = True
        for timer in self._away.values():
            timer.cancel()
        for one in self._connected.values():
            one.wake.set()

    def connected(self) -> tuple[Blender, ...]:
        """The connected Blenders, in the order in which they connected."""
        return tuple(Blender(id=id_, name=one.name) for id_, one in self._connected.items())

    def choose(self) -> str:
        """The id of the Blender for the next job: the one with the fewest jobs, among equals the last that connected.

        Raises:
            ServiceError: NO_BLENDER, none is connected.
        """
        rendering = [blender for blender, one in self._connected.items() if one.renders]
        if not rendering:
            raise ServiceError(
                ErrorCode.NO_BLENDER,
                "No Blender is connected: open the scene in a Blender whose extension OmniAudio uses this service, and "
                "try again.",
            )
        return min(reversed(rendering), key=lambda blender: len(self._store.waiting(blender)))

    def asked(self, blender: str, job_id: str) -> None:
        """Notify a Blender of a new job."""
        self._live.report(job_id, WAITING)
        self._connected[blender].wake.set()

    async def requests(self, blender: str, name: str, renders: bool) -> AsyncIterator[Job]:
        """Connect a Blender while this is iterated over: yields each job that it is to render once."""
        one = self._enter(blender, name, renders)
        sent: set[str] = set()
        try:
            while not self._ending:
                one.wake.clear()
                waiting = {job.id: job for _, job in self._store.waiting(blender)}
                for job_id, job in waiting.items():
                    if job_id not in sent:
                        yield self._live.as_it_is(job)
                sent = set(waiting)
                await one.wake.wait()
        finally:
            self._leave(blender, one)

    def rendering(self, job_id: str, progress: Progress) -> None:
        """Report the progress of a rendering; ignored if the job does not wait for one."""
        if self._store.waits(job_id):
            fraction = RENDERING_SHARE * progress.fraction
            self._live.report(job_id, Progress(stage=progress.stage, fraction=fraction, seconds_left=None))

    def rendered(self, job_id: str) -> None:
        """Continue a job without its Blender."""
        self._live.report(job_id, RENDERED)

    def _enter(self, blender: str, name: str, renders: bool) -> _Blender:
        if (timer := self._away.pop(blender, None)) is not None:
            timer.cancel()
        one = self._connected.setdefault(blender, _Blender(name, renders))
        # Another file has been opened, and its old stream is not yet known to have ended.
        one.name, one.renders = name, renders
        one.streams += 1
        return one

    def _leave(self, blender: str, one: _Blender) -> None:
        one.streams -= 1
        if one.streams == 0:
            del self._connected[blender]
            self._names[blender] = one.name
            if not self._ending:
                self._wait_for(blender)

    def _wait_for(self, blender: str) -> None:
        self._away[blender] = asyncio.get_running_loop().call_later(AWAY_SECONDS, self._has_left, blender)

    def _has_left(self, blender: str) -> None:
        name = self._names.get(blender, "the scene")
        message = f"The Blender with {name} disconnected before it had rendered: open the scene again, and retry."
        try:
            for _, job in self._store.waiting(blender):
                self._store.fail(job.id, Error(code=ErrorCode.NO_BLENDER, message=message))
                self._live.left(job.id)
        except ServiceError as error:  # the disk is full
            _log.error(error.message)
            self._wait_for(blender)
            return
        del self._away[blender]
        self._names.pop(blender, None)


def after_rendering(progress: Progress) -> Progress:
    """The progress of a whole job, from its progress after the rendering."""
    return progress.model_copy(update={"fraction": RENDERING_SHARE + (1 - RENDERING_SHARE) * progress.fraction})
