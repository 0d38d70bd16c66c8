"""The part of the API for Blenders that are connected: they render their scenes for jobs."""

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
    """List the Blenders that are connected."""
    return BlenderList(blenders=here.supervisor.blenders())


@router.get(
    "/blenders/events",
    response_class=EventSourceResponse,
    responses=_EVENTS | documented(422),
)
async def be_a_blender(
    events: Annotated[AsyncIterator[ServerSentEvent], Depends(_requests)],
) -> AsyncIterator[ServerSentEvent]:
    """Be a Blender, as long as the connection lasts: each event is a job for it to render."""
    async for one in events:
        yield one


@router.post("/jobs/{job_id}/rendering", responses=documented(400, 404, 422))
async def report_rendering(job_id: JobPath, progress: Progress, here: Here) -> Job:
    """Tell how far a Blender is with its rendering; the answer says whether the job is still wanted."""
    return here.supervisor.rendering(job_id, progress)


@router.post("/jobs/{job_id}/clip", responses=documented(400, 404, 409, 413, 422, 507))
async def give_clip(job_id: JobPath, picture: RenderedClip, here: Here) -> Job:
    """Give what a Blender has rendered for a job, which goes on as any other."""
    path = await asyncio.to_thread(here.sources.find, picture.source)
    return here.supervisor.give_clip(job_id, picture, path)


@router.post("/jobs/{job_id}/refuse", responses=documented(400, 404, 409, 422, 507))
async def refuse(job_id: JobPath, refusal: Refusal, here: Here) -> Job:
    """Say why a Blender does not render for a job, which fails with the message."""
    return here.supervisor.refuse(job_id, refusal.message)
