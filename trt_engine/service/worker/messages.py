"""What passes between the supervisor and a worker: a JSON object a line, by the worker's stdin and stdout."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trt_engine.service.errors import Error
from trt_engine.service.kinds.registry import AnyRequest
from trt_engine.service.records import Progress


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    job: str


class Run(_Message):
    """To the worker: carry out a job, in the folder `attempt`, whose files will lie in `results` in the end.

    `files` are the paths of its sources, by the fields that name them."""

    kind: Literal["run"] = "run"
    request: AnyRequest
    files: dict[str, Path]
    attempt: Path
    results: Path
    max_seconds: float


class Cancel(_Message):
    """To the worker: leave the job."""

    kind: Literal["cancel"] = "cancel"


class Loaded(_Message):
    """From the worker: the models that it holds ready."""

    kind: Literal["loaded"] = "loaded"
    models: tuple[str, ...]


class Progressed(_Message):
    """From the worker: how far the job is."""

    kind: Literal["progress"] = "progress"
    progress: Progress


class Done(_Message):
    """From the worker: the attempt is whole."""

    kind: Literal["done"] = "done"


class Failed(_Message):
    """From the worker: there is no result. Where `broken`, the worker ends itself and wants to be replaced."""

    kind: Literal["failed"] = "failed"
    error: Error
    broken: bool = False


Command = Annotated[Run | Cancel, Field(discriminator="kind")]
Event = Annotated[Loaded | Progressed | Done | Failed, Field(discriminator="kind")]
COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def line(message: Run | Cancel | Loaded | Progressed | Done | Failed) -> bytes:
    """A message as it is sent."""
    return message.model_dump_json().encode() + b"\n"
