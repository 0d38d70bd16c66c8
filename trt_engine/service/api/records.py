"""What the API takes and answers with, beside jobs themselves."""

from typing import Annotated

from pydantic import Field

from trt_engine.service.errors import Error
from trt_engine.service.jobs.blenders import Blender
from trt_engine.service.jobs.device import Worker
from trt_engine.service.jobs.job import Job
from trt_engine.service.records import Record

API_VERSION = 1
"""In the path of every address; another one is another, incompatible API."""


class ErrorAnswer(Record):
    """The body of every answer that is not a success."""

    error: Error


class Health(Record):
    """That the service is there, and which."""

    service: str = "omniaudio"
    api: int = API_VERSION
    version: str


class JobList(Record):
    """Jobs, the newest first."""

    jobs: tuple[Job, ...]


class Refusal(Record):
    """Why a Blender does not render for a job, in a message that says what to do."""

    message: Annotated[str, Field(min_length=1, max_length=1000)]


class BlenderList(Record):
    """The Blenders that are connected, who came last as the last one."""

    blenders: tuple[Blender, ...]


class Model(Record):
    """A model, and what it does where a request leaves it to the model."""

    name: str
    ready: bool = Field(description="it is here; else `omniaudio models download NAME` brings it")
    native_seconds: float = Field(description="as much it makes at once; longer clips are made in overlapping windows")
    rate: int = Field(description="Hz")
    steps: int
    guidance: float
    licence: str


class Backend(Record):
    """A back-end, which runs models."""

    name: str
    label: str = Field(description="what its maker calls it")
    available: bool
    devices: str = Field(description="what it can run on, anywhere")
    device: str | None = Field(description="what it runs on here")
    versions: dict[str, str]
    reason: str | None = Field(description="why it is not available, and what to do")


class BackendList(Record):
    """The back-ends that the service knows."""

    backends: tuple[Backend, ...]


class ModelList(Record):
    """The models that the service knows; `default` is the one that is taken where a request names none."""

    models: tuple[Model, ...]
    default: str | None


class WorkerList(Record):
    """One worker a device."""

    workers: tuple[Worker, ...]
