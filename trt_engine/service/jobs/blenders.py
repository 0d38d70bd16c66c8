"""The Blenders that are connected, and the jobs that wait for one of them to render its scene.

A Blender is connected as long as it reads its stream of requests. It names itself by an id that it makes up, so that it
is known again when its connection, or the service, broke off in between; which job is whose lies in the store. One that
does not come back within `AWAY_SECONDS` has left, and its jobs fail: another Blender has another scene open.
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
"""A Blender asks again every five seconds when its stream breaks off."""
RENDERING_SHARE = 0.5
"""Of the whole, of which nobody knows how long it will take."""
WAITING = Progress(stage="waiting for Blender", fraction=0.0, seconds_left=None)
RENDERED = Progress(stage="waiting", fraction=RENDERING_SHARE, seconds_left=None)

_log = logging.getLogger(__name__)


class Blender(Record):
    """A Blender that is connected: the id that it has made up, and what is open in it."""

    id: str
    name: str


@dataclass
class _Blender:
    """One that is connected, by so many streams: a new one may begin before the old one is known to be dead."""

    name: str
    renders: bool
    streams: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Blenders:
    """Gives jobs to Blenders; all of it on one asyncio loop."""

    def __init__(self, store: Store, live: Live) -> None:
        self._store = store
        self._live = live
        self._connected: dict[str, _Blender] = {}
        """By their ids, who came last as the last one."""
        self._away: dict[str, asyncio.TimerHandle] = {}
        """Runs for a Blender with jobs that is not connected."""
        self._names: dict[str, str] = {}
        self._ending = False

    def start(self) -> None:
        """The jobs of an earlier service wait for their Blenders to come back."""
        for blender, job in self._store.waiting():
            self._live.report(job.id, WAITING)
            if blender not in self._away:
                self._wait_for(blender)

    def stop(self) -> None:
        """The Blenders are let go; their jobs wait for the next service."""
        self._ending = True
        for timer in self._away.values():
            timer.cancel()
        for one in self._connected.values():
            one.wake.set()

    def connected(self) -> tuple[Blender, ...]:
        """Those that are connected, who came last as the last one."""
        return tuple(Blender(id=id_, name=one.name) for id_, one in self._connected.items())

    def choose(self) -> str:
        """The id of the one that is to render the next job: one with the fewest, and of these the last that came.

        Raises:
            ServiceError: NO_BLENDER, none is connected.
        """
        rendering = [blender for blender, one in self._connected.items() if one.renders]
        if not rendering:
            raise ServiceError(
                ErrorCode.NO_BLENDER,
                "No Blender is connected: open the scene in a Blender that uses this engine (its extension OmniAudio "
                "has to be on), and ask again.",
            )
        return min(reversed(rendering), key=lambda blender: len(self._store.waiting(blender)))

    def asked(self, blender: str, job_id: str) -> None:
        """There is a new job for a Blender."""
        self._live.report(job_id, WAITING)
        self._connected[blender].wake.set()

    async def requests(self, blender: str, name: str, renders: bool) -> AsyncIterator[Job]:
        """Be connected, for as long as this is iterated over: the jobs that the Blender is to render, each once."""
        one = self._enter(blender, name, renders)
        told: set[str] = set()
        try:
            while not self._ending:
                one.wake.clear()
                waiting = {job.id: job for _, job in self._store.waiting(blender)}
                for job_id, job in waiting.items():
                    if job_id not in told:
                        yield self._live.as_it_is(job)
                told = set(waiting)
                await one.wake.wait()
        finally:
            self._leave(blender, one)

    def rendering(self, job_id: str, progress: Progress) -> None:
        """How far the rendering of a job is; one that waits for none is left as it is."""
        if self._store.waits(job_id):
            fraction = RENDERING_SHARE * progress.fraction
            self._live.report(job_id, Progress(stage=progress.stage, fraction=fraction, seconds_left=None))

    def rendered(self, job_id: str) -> None:
        """A job goes on without its Blender."""
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
        message = f"The Blender with {name} has left before it had rendered: open the scene again, and ask again."
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
    """How far a job is whose picture a Blender has rendered before."""
    return progress.model_copy(update={"fraction": RENDERING_SHARE + (1 - RENDERING_SHARE) * progress.fraction})
