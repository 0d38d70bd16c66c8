"""The part of the API for connected Blenders, which render their scenes for jobs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from trt_engine.service.api.answers import Responses, documented
from trt_engine.service.api.records import BlenderList, Refusal
from trt_engine.service.api.shared import EVENTS, Here, JobPath, event, until
from trt_engine.service.jobs.job import Job, RenderedClip
from trt_engine.service.records import Progress

router = APIRouter()

_EVENTS: Responses = {200: {"content": EVENTS}}

Name = Annotated[str, Query(min_length=1, max_length=255, description="what is open in it, like forest.blend")]
BlenderId = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9a-f]{32}$", description="made up by the Blender, so that it is known again when it comes back"
    ),
]
Renders = Annotated[bool, Query(description="whether it takes jobs; one without a window is only there")]


async def _requests(
    here: Here, name: Name, blender: BlenderId = None, renders: Renders = True
) -> AsyncIterator[ServerSentEvent]:
    requests = here.supervisor.blender_requests(blender or uuid4().hex, name, renders)
    return (event(job) async for job in until(here.ending, requests))


@router.get("/blenders")
async def list_blenders(here: Here) -> BlenderList:
    """List the connected Blenders."""
    return BlenderList(blenders=here.supervisor.blenders())


@router.get(
    "/blenders/events",
    response_class=EventSourceResponse,
    responses=_EVENTS | documented(422),
)
async def be_a_blender(
    events: Annotated[AsyncIterator[ServerSentEvent], Depends(_requests)],
) -> AsyncIterator[ServerSentEvent]:
    """Connect as a Blender, until the stream is closed: each event is a job for it to render."""
    async for one in events:
        yield one


@router.post("/jobs/{job_id}/rendering", responses=documented(400, 404, 422))
async def report_rendering(job_id: JobPath, progress: Progress, here: Here) -> Job:
    """Report the progress of a rendering; the answer says whether the job has ended."""
    return here.supervisor.rendering(job_id, progress)


@router.post("/jobs/{job_id}/clip", responses=documented(400, 404, 409, 413, 422, 507))
async def give_clip(job_id: JobPath, clip: RenderedClip, here: Here) -> Job:
    """Continue a job with the clip that a Blender has rendered for it."""
    path = await asyncio.to_thread(here.sources.find, clip.source)
    return here.supervisor.give_clip(job_id, clip, path)


@router.post("/jobs/{job_id}/refuse", responses=documented(400, 404, 409, 422, 507))
async def refuse(job_id: JobPath, refusal: Refusal, here: Here) -> Job:
    """Fail a job with a message: why Blender does not render it."""
    return here.supervisor.refuse(job_id, refusal.message)
