"""The HTTP API over the supervisor. Who may ask is decided in security.py, what may be read in sources.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException as AnyHTTPException

from trt_engine.service.api import answers, scenes
from trt_engine.service.api.answers import Responses, documented
from trt_engine.service.api.catalogue import model_list
from trt_engine.service.api.records import (
    API_VERSION,
    BackendList,
    ErrorAnswer,
    Health,
    JobList,
    ModelList,
    WorkerList,
)
from trt_engine.service.api.shared import EVENTS, PREFIX, Here, JobPath, Shared, event, until
from trt_engine.service.errors import ErrorCode, ServiceError
from trt_engine.service.jobs.clips import Media
from trt_engine.service.jobs.job import Job, JobState
from trt_engine.service.jobs.supervisor import Supervisor
from trt_engine.service.kinds.registry import AnyRequest
from trt_engine.service.kinds.request import MediaId
from trt_engine.service.settings import Settings

MAX_LISTED = 1000

_HOUR = 3600.0
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".json": "application/json",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
}
_FILES: Responses = {
    200: {"content": {**dict.fromkeys(_MEDIA_TYPES.values(), _BINARY), "application/json": {}}},
    206: {
        "description": "The ranges that were asked for",
        "content": dict.fromkeys((*_MEDIA_TYPES.values(), "multipart/byteranges"), _BINARY),
    },
}
_KNOWN_JOB: Responses = {200: {"model": Job, "description": "The job of this request id"}}
_KNOWN_END: Responses = {200: {"content": EVENTS}, 204: {"description": "The job's end is known"}}
# The token is checked in front of the application (security.Guard); this writes it into the schema.
_token = Depends(HTTPBearer(auto_error=False, description="what the file `token` in the service's folder holds"))
_open = APIRouter(prefix=PREFIX, responses={403: {"model": ErrorAnswer}, 500: {"model": ErrorAnswer}})
_router, _uploads = APIRouter(), APIRouter()


def create_api(settings: Settings, supervisor: Supervisor) -> FastAPI:
    """The API as an application, which starts and stops the supervisor with itself. It asks for no token: a Guard goes
    in front of it.

    Raises:
        UserError: an allowed root is no folder.
    """
    api = FastAPI(
        title="OmniAudio",
        version=str(API_VERSION),
        summary="Jobs that generate ambisonics for 360° videos and images.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        generate_unique_id_function=lambda route: route.name,
        max_body_size=settings.max_body_bytes,
        exception_handlers={
            ServiceError: answers.service_error,
            RequestValidationError: answers.invalid,
            AnyHTTPException: answers.http_error,
            Exception: answers.fault,
        },
    )
    api.state.shared = Shared(settings, supervisor)
    api.include_router(_open)
    refusals = documented(401, 403, 500)
    for router in (_router, scenes.router):
        api.include_router(router, prefix=PREFIX, responses=refusals, dependencies=[_token])
    most = settings.max_media_bytes
    api.include_router(_uploads, prefix=PREFIX, responses=refusals, dependencies=[_token], max_body_size=most)
    return api


def end_streams(api: FastAPI) -> None:
    """End the streams of events, which would hold up the server's end."""
    shared: Shared = api.state.shared
    shared.ending.set()


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    shared: Shared = api.state.shared
    await shared.supervisor.start()
    expiring = asyncio.create_task(_expire_uploads(shared))
    try:
        yield
    finally:
        expiring.cancel()
        await shared.supervisor.stop()


@_open.get("/health")
async def health() -> Health:
    """Identify the service; needs no token."""
    return Health(version=version("omniaudio-blender"))


@_router.post(
    "/jobs",
    status_code=201,
    responses=_KNOWN_JOB | documented(400, 404, 409, 413, 422, 429, 507),
)
async def create_job(request: AnyRequest, response: Response, here: Here) -> Job:
    """Queue a job; a repeated request id returns the existing job with 200."""
    # First: an accepted request stays accepted, even if the clip is gone.
    if (known := here.supervisor.known(request)) is not None:
        response.status_code = 200
        return known
    most = here.settings.max_seconds
    if request.seconds is not None and request.seconds > most:
        raise ServiceError(ErrorCode.TOO_LARGE, f"A job is at most {most:g} s of sound here: request shorter parts.")
    named = request.inputs()
    files = {field: await asyncio.to_thread(here.sources.find, source) for field, source in named.items()}
    job, new = here.supervisor.submit(request, files)
    if not new:
        response.status_code = 200
    return job


@_router.get("/jobs", responses=documented(422))
async def list_jobs(
    here: Here, state: JobState | None = None, limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100
) -> JobList:
    """List jobs, newest first."""
    return JobList(jobs=tuple(here.supervisor.jobs(state, limit)))


@_router.get("/jobs/{job_id}", responses=documented(404, 422))
async def read_job(job_id: JobPath, here: Here) -> Job:
    """Read the current state of a job."""
    return here.supervisor.job(job_id)


@_router.post("/jobs/{job_id}/cancel", responses=documented(404, 422, 507))
async def cancel_job(job_id: JobPath, here: Here) -> Job:
    """Cancel a job; an ended job stays as it is."""
    return here.supervisor.cancel(job_id)


@_router.delete("/jobs/{job_id}", status_code=204, responses=documented(404, 409, 422, 507))
async def remove_job(job_id: JobPath, here: Here) -> None:
    """Remove an ended job, and delete its files."""
    here.supervisor.remove(job_id)


async def _changes(
    job_id: JobPath,
    here: Here,
    last_event_id: Annotated[str | None, Header(description="of the last event that is known")] = None,
) -> AsyncIterator[ServerSentEvent]:
    job = here.supervisor.job(job_id)
    if job.state.ended and last_event_id == event(job).id:
        raise HTTPException(204)  # which tells a browser to ask no more
    changes = here.supervisor.changes(job_id)
    events = (event(job) async for job in until(here.ending, changes))
    return (one async for one in events if one.id != last_event_id)


@_router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses=_KNOWN_END | documented(404, 422),
)
async def follow_job(
    events: Annotated[AsyncIterator[ServerSentEvent], Depends(_changes)],
) -> AsyncIterator[ServerSentEvent]:
    """Follow a job to its end: each event is its current state."""
    async for one in events:
        yield one


@_router.get(
    "/jobs/{job_id}/files/{name}",
    response_class=FileResponse,
    responses=_FILES | documented(400, 404, 416, 422),
)
async def read_file(job_id: JobPath, name: Annotated[str, Path(max_length=255)], here: Here) -> FileResponse:
    """Download a file of a job, or ranges of it."""
    job = here.supervisor.job(job_id)
    files = () if job.result is None else job.result.all_files
    path = next((FilePath(file.path) for file in files if file.name == name), None)
    if path is None or not path.is_file():
        raise ServiceError(ErrorCode.NOT_FOUND, f"The job {job_id}, which is {job.state}, has no file of this name.")
    return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], filename=name)


@_uploads.post(
    "/media",
    status_code=201,
    responses=documented(413, 422, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
        }
    },
)
async def upload_media(
    request: Request, name: Annotated[str, Query(min_length=1, max_length=255, description="the file's")], here: Here
) -> Media:
    """Upload a clip: the body is the file itself."""
    return await here.sources.receive(name, request.stream())


@_router.delete("/media/{media_id}", status_code=204, responses=documented(404, 409, 422))
async def remove_media(media_id: Annotated[MediaId, Path(description="an upload's id")], here: Here) -> None:
    """Delete an upload."""
    if media_id in here.sources.uploads(here.supervisor.files_in_use()):
        raise ServiceError(ErrorCode.CONFLICT, "A job that has not ended needs this upload: cancel the job first.")
    await asyncio.to_thread(here.sources.remove, media_id)


@_router.get("/models")
async def list_models() -> ModelList:
    """List the models that are here or can be fetched."""
    return await asyncio.to_thread(model_list)


@_router.get("/backends")
async def list_backends(here: Here) -> BackendList:
    """List the back-ends, and why some cannot be used."""
    return await here.backends.ask(here.settings.devices[0])


@_router.get("/workers")
async def list_workers(here: Here) -> WorkerList:
    """List the devices and the states of their workers."""
    return WorkerList(workers=tuple(here.supervisor.workers()))


@_router.post("/workers/unload")
async def unload_workers(here: Here) -> WorkerList:
    """End the idle workers, which frees their memory."""
    await here.supervisor.unload()
    return WorkerList(workers=tuple(here.supervisor.workers()))


async def _expire_uploads(shared: Shared) -> None:
    while True:
        await asyncio.to_thread(shared.sources.expire, shared.sources.uploads(shared.supervisor.files_in_use()))
        await asyncio.sleep(_HOUR)
