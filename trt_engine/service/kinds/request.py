"""What the requests of all kinds have in common, and the types of their fields."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.result import Result
from trt_engine.service.records import Record

MAX_FRAME = 1_048_574
"""Blender's own limit of a frame's number, to either side."""

Stem = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f./\\:*?\"<>|#%][^\x00-\x1f\x7f/\\:*?\"<>|#%]{0,99}$")]
"""A file's name without folders, for every system and address; none begins with a dot."""
MediaId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Degrees = Annotated[float, Field(strict=True, ge=-360, le=360)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=360_000)]
Length = Annotated[float, Field(strict=True, gt=0, le=360_000)]


class Lane(StrEnum):
    """Who carries a job out next: a worker with a model, the worker of jobs without one, or a Blender."""

    MODEL = "model"
    SOUND = "sound"
    BLENDER = "blender"


class PathSource(Record):
    """A clip on the service's own machine, inside one of its allowed roots."""

    path: Annotated[str, Field(min_length=1, max_length=4096, description="absolute; an image sequence has ####")]


class MediaSource(Record):
    """A clip that was uploaded."""

    media: MediaId = Field(description="an upload's id")


Source = PathSource | MediaSource
SoundSource = Annotated[Source, Field(description="AmbiX, unless it declares another convention, as .amb does")]


class SceneSource(Record):
    """The scene that is open in a Blender that is connected; None is the scene's own first or last frame, and its own
    camera."""

    frame_start: Annotated[int, Field(ge=-MAX_FRAME, le=MAX_FRAME)] | None
    frame_end: Annotated[int, Field(ge=-MAX_FRAME, le=MAX_FRAME)] | None
    camera: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="the name of a camera of the scene"
    )


class Request(Record, ABC):
    """The request of a job. Each kind derives its own, with its name as the literal `kind`."""

    result: ClassVar[type[Result]] = Result
    """The type of its results."""

    request_id: RequestId | None = Field(
        default=None, description="chosen by the caller; repeating it returns the same job"
    )

    @property
    def lane(self) -> Lane:
        """Which workers carry it out next."""
        return Lane.SOUND

    @property
    def seconds(self) -> float | None:
        """Length of the sound that it asks a model for; None where the clip decides, or there is none."""
        return None

    @abstractmethod
    def inputs(self) -> Mapping[str, Source]:
        """Its input files, by the fields that name them; a scene in Blender is none."""

    @abstractmethod
    def run(self, attempt: Attempt) -> Result:
        """Carry out the job, in the worker's process.

        Args:
            attempt: the paths of `inputs` by the same fields, where files are made, and the models.

        Returns:
            The result, with the final paths of the files.

        Raises:
            UserError: the job has failed.
        """
