"""What the routes of the API share."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request
from fastapi.sse import ServerSentEvent

from trt_engine.service.api.backends import Backends
from trt_engine.service.api.records import API_VERSION
from trt_engine.service.jobs.clips import Sources
from trt_engine.service.jobs.job import Job, JobId
from trt_engine.service.jobs.supervisor import Supervisor
from trt_engine.service.settings import Settings

PREFIX = f"/v{API_VERSION}"
EVENTS: dict[str, Any] = {
    "text/event-stream": {
        "itemSchema": {
            "required": ["data", "id"],
            "properties": {
                "data": {
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": "#/components/schemas/Job"},
                },
            },
        }
    }
}
"""The content of a stream of jobs, for the schema."""

T = TypeVar("T")


class Shared:
    """A service's parts, and that it ends."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        """Raises UserError where an allowed root is no folder."""
        self.settings = settings
        self.supervisor = supervisor
        self.sources = Sources(settings)
        self.backends = Backends()
        self.ending = asyncio.Event()


async def _shared(request: Request) -> Shared:
    shared: Shared = request.app.state.shared
    return shared


Here = Annotated[Shared, Depends(_shared)]
JobPath = Annotated[JobId, Path(description="a job's id")]


def event(job: Job) -> ServerSentEvent:
    """A job's state; its id is the same for the same state, also in the next service on the folder."""
    data = job.model_dump_json()
    return ServerSentEvent(raw_data=data, id=hashlib.sha256(data.encode()).hexdigest()[:32])


async def until(ending: asyncio.Event, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """What comes before an end."""
    end = asyncio.ensure_future(ending.wait())
    item = asyncio.ensure_future(anext(items, None))
    try:
        while True:
            await asyncio.wait({end, item}, return_when=asyncio.FIRST_COMPLETED)
            if not item.done() or (value := item.result()) is None:
                return
            yield value
            item = asyncio.ensure_future(anext(items, None))
    finally:
        end.cancel()
        item.cancel()
