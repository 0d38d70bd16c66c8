"""What the service is asked and what it answers: the API's schema is made of these models."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from omniaudio.audio.ambisonics import Convention
from omniaudio.export360.audio_track import Codec
from omniaudio.limits import (
    HIGHEST_OUTPUT_RATE,
    LARGEST_GUIDANCE,
    LOWEST_GAIN_DB,
    LOWEST_OUTPUT_RATE,
    MOST_STEPS,
    MOST_TAKES,
    Order,
)
from omniaudio.recognition.sources import Given, Sources
from omniaudio.video.container import Stereo

API_VERSION = 1
"""In the path of every address; another one is another, incompatible API."""

FURTHEST_FRAME = 1_048_574
"""Blender's own limit of a frame's number, to either side."""
HIGHEST_SEED = 2**53 - 1
"""The largest integer that every program reads from JSON as it is (RFC 7493, section 2.2)."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Stem = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f./\\:*?\"<>|#%][^\x00-\x1f\x7f/\\:*?\"<>|#%]{0,99}$")]
"""A file's name without folders, for every system and address; none begins with a dot."""
JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
MediaId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorCode(StrEnum):
    """What a client may want to tell apart; people read the sentence."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    SOURCE = "source"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    NO_BLENDER = "no_blender"
    REFUSED = "refused"
    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    NOT_360 = "not_360"
    TRUNCATED = "truncated"
    NO_MODEL = "no_model"
    NO_BACKEND = "no_backend"
    NO_ROOM = "no_room"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Error(_Record):
    """What went wrong: one sentence that says what to do."""

    code: ErrorCode
    sentence: str


class ErrorAnswer(_Record):
    """The body of every answer that is not a success."""

    error: Error


class PathSource(_Record):
    """A clip on the service's own machine, inside one of its allowed roots."""

    path: Annotated[str, Field(min_length=1, max_length=4096, description="absolute; an image sequence has ####")]


class MediaSource(_Record):
    """A clip that was uploaded."""

    media: MediaId = Field(description="an upload's id")


Source = PathSource | MediaSource
Degrees = Annotated[float, Field(strict=True, ge=-360, le=360)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=360_000)]
Length = Annotated[float, Field(strict=True, gt=0, le=360_000)]


class SceneSource(_Record):
    """The scene that is open in a Blender that is connected; None is the scene's own first or last frame, and its own
    camera."""

    frame_start: Annotated[int, Field(ge=-FURTHEST_FRAME, le=FURTHEST_FRAME)] | None
    frame_end: Annotated[int, Field(ge=-FURTHEST_FRAME, le=FURTHEST_FRAME)] | None
    camera: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="the name of a camera of the scene"
    )


class Again(_Record):
    """A take whose part is made anew, while everything outside stays as it is."""

    sound: Source = Field(description="an AmbiX take of the same part of the same clip")
    start: Seconds = Field(description="seconds of `sound`")
    duration: Length = Field(description="seconds")
    gain_db: Annotated[float, Field(strict=True, ge=LOWEST_GAIN_DB, le=0)] | None = Field(
        default=None,
        description="what the true-peak guard took of `sound`; else as the sidecar beside its path says, or nothing",
    )


class JobRequest(_Record):
    """A generation that is wanted. Where a value is left out, the model's or the clip's own is taken."""

    source: Source | SceneSource
    request_id: RequestId | None = Field(default=None, description="the caller's own: the same again is the same job")
    name: Stem | None = Field(default=None, description="the files' stem; else the source's own")
    model: Stem | None = Field(default=None, description="a name that `omniaudio models` lists; else the best one here")
    backend: Name = "auto"
    start: Seconds = Field(default=0.0, description="seconds into the clip")
    duration: Length | None = Field(default=None, description="seconds; else to the clip's end")
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED)
    takes: int = Field(default=1, ge=1, le=MOST_TAKES)
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    guidance: Annotated[float, Field(strict=True, ge=-LARGEST_GUIDANCE, le=LARGEST_GUIDANCE)] | None = None
    rate: int | None = Field(default=None, ge=LOWEST_OUTPUT_RATE, le=HIGHEST_OUTPUT_RATE, description="Hz")
    preview: bool = True
    map: bool = True
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")
    again: Again | None = Field(default=None, description="make a part of this take anew, not the whole clip")
    sources: Given | None = Field(default=None, description="what sounds; else it is recognised in the clip")
    variation: Annotated[float, Field(strict=True, ge=0, le=1)] | None = Field(
        default=None, description="0 is an exemplar of each kind itself, 1 is free generation"
    )
    order: Order = Field(default=1, description="of the ambisonics")
    stems: bool = Field(default=False, description="each source's own sound as well, placed as in the whole")
    kind: Literal["generate"] = "generate"

    @model_validator(mode="after")
    def _part_of_a_whole(self) -> Self:
        if self.again is not None and (self.stems or self.order != 1):
            raise ValueError("a part that is made again has no stems, and the order of its take, which is 1")
        return self


class InspectRequest(_Record):
    """A recognition that is wanted: what sounds in a clip, to be looked at, edited, and given to a generation."""

    source: Source
    start: Seconds = Field(default=0.0, description="seconds into the clip")
    duration: Length | None = Field(default=None, description="seconds; else to the clip's end")
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")
    request_id: RequestId | None = None
    kind: Literal["inspect"]


class ListenRequest(_Record):
    """A binaural preview that is wanted: a sound as a head hears it that is turned so, in degrees."""

    sound: Source = Field(description="AmbiX, unless it declares another convention, as .amb does")
    request_id: RequestId | None = None
    name: Stem | None = None
    yaw: Degrees = Field(default=0.0, description="to the left")
    pitch: Degrees = Field(default=0.0, description="nose up")
    roll: Degrees = Field(default=0.0, description="left ear up")
    kind: Literal["listen"]


class TurnRequest(_Record):
    """A sound that is wanted in the world's axes, which a turning camera took in its own."""

    sound: Source = Field(description="AmbiX, unless it declares another convention, as .amb does")
    orientations: Source = Field(
        description="a JSON file as `omniaudio rotate` reads it: how the camera was turned when"
    )
    request_id: RequestId | None = None
    name: Stem | None = None
    preview: bool = True
    kind: Literal["turn"]


class MapRequest(_Record):
    """A movie that is wanted: where a sound comes from, drawn over its panorama."""

    sound: Source = Field(description="AmbiX, unless it declares another convention, as .amb does")
    picture: Source
    request_id: RequestId | None = None
    name: Stem | None = None
    picture_start: Seconds = Field(default=0.0, description="seconds of the picture at which the sound begins")
    kind: Literal["map"]


class DeliverRequest(_Record):
    """A 360° video with spatial audio that is wanted."""

    sound: Source = Field(description="AmbiX, unless it declares another convention, as .amb does")
    picture: Source
    request_id: RequestId | None = None
    name: Stem | None = None
    picture_start: Seconds = Field(default=0.0, description="seconds of the picture at which the sound begins")
    codec: Codec = Codec.PCM
    stereo: Stereo | None = Field(default=None, description="the picture's own where None")
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")
    kind: Literal["deliver"]


KINDS = ("generate", "inspect", "listen", "turn", "map", "deliver")
FileRequest = JobRequest | ListenRequest | TurnRequest | MapRequest | DeliverRequest
"""A job that is wanted and makes files."""


def _kind(value: Any) -> str | None:
    """Of a request; a generation need not say that it is one."""
    given = value.get("kind", "generate") if isinstance(value, dict) else getattr(value, "kind", None)
    return given if isinstance(given, str) else None


AnyRequest = Annotated[
    Annotated[JobRequest, Tag("generate")]
    | Annotated[InspectRequest, Tag("inspect")]
    | Annotated[ListenRequest, Tag("listen")]
    | Annotated[TurnRequest, Tag("turn")]
    | Annotated[MapRequest, Tag("map")]
    | Annotated[DeliverRequest, Tag("deliver")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message=f"a request is an object, and its kind one of {', '.join(KINDS)}",
    ),
]
"""A job that is wanted, of any kind."""


def sources(request: AnyRequest) -> Mapping[str, Source]:
    """The files that a request names, by the fields that name them; the scene of a Blender is none."""
    match request:
        case JobRequest():
            clip = {} if isinstance(request.source, SceneSource) else {"source": request.source}
            return clip if request.again is None else {**clip, "again.sound": request.again.sound}
        case InspectRequest():
            return {"source": request.source}
        case ListenRequest():
            return {"sound": request.sound}
        case TurnRequest():
            return {"sound": request.sound, "orientations": request.orientations}
        case MapRequest() | DeliverRequest():
            return {"sound": request.sound, "picture": request.picture}


class JobState(StrEnum):
    """Queued and running jobs survive the service; the others have ended and do not change."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Progress(_Record):
    """How far a job is; one that has ended has none."""

    stage: Annotated[str, Field(max_length=200)]
    fraction: Annotated[float, Field(strict=True, ge=0, le=1)]
    seconds_left: Annotated[float, Field(strict=True)] | None


class ResultFile(_Record):
    """A file that a job has made: on the service's machine at `path`, and to be downloaded by its `name`."""

    name: str
    path: str
    size: int


class TakeResult(_Record):
    """The files of a take, and its measures. `sound` is AmbiX (ACN, SN3D) of the order that was wanted, four channels
    for the first, and so are the stems. `seed` is None where no model ran."""

    sound: ResultFile
    sidecar: ResultFile
    preview: ResultFile | None
    map: ResultFile | None
    seed: int | None
    take: int
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None
    stems: tuple[ResultFile, ...] = ()


class Result(_Record):
    """What a job that is done has made: takes, one file of another kind, or what sounds in a clip. `model` and
    `backend` are None where none ran."""

    model: str | None
    backend: str | None
    takes: tuple[TakeResult, ...] = ()
    files: tuple[ResultFile, ...] = ()
    converted_from: Convention | None = Field(
        default=None, description="what the sound that was given declares itself to be, where it is not AmbiX"
    )
    sources: Sources | None = Field(default=None, description="what sounds in the clip that was inspected")

    @property
    def all_files(self) -> tuple[ResultFile, ...]:
        """Those of the takes among them."""
        of_takes = [
            file for take in self.takes for file in (take.sound, take.sidecar, take.preview, take.map, *take.stems)
        ]
        return (*(file for file in of_takes if file is not None), *self.files)


class Job(_Record):
    """What is wanted and what has become of it."""

    id: JobId
    state: JobState
    request: AnyRequest
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress | None = None
    result: Result | None = None
    error: Error | None = None


class JobList(_Record):
    """Jobs, the newest first."""

    jobs: tuple[Job, ...]


class Picture(_Record):
    """What a Blender has rendered for a job: the source of which the sound is made, as any other."""

    source: Source
    start: Seconds = Field(default=0.0, description="seconds into it")
    duration: Length | None = Field(default=None, description="seconds; else to its end")


class Refusal(_Record):
    """Why a Blender does not render for a job, in a sentence that says what to do."""

    sentence: Annotated[str, Field(min_length=1, max_length=1000)]


class Blender(_Record):
    """A Blender that is connected: the id that it has made up, and what is open in it."""

    id: str
    name: str


class BlenderList(_Record):
    """The Blenders that are connected, who came last as the last one."""

    blenders: tuple[Blender, ...]


class Model(_Record):
    """A model, and what it does where a request leaves it to the model."""

    name: str
    ready: bool = Field(description="it is here; else `omniaudio models download NAME` brings it")
    native_seconds: float = Field(description="as much it makes at once; longer clips are made in overlapping windows")
    rate: int = Field(description="Hz")
    steps: int
    guidance: float
    licence: str


class ModelList(_Record):
    """The models that the service knows; `default` is the one that is taken where a request names none."""

    models: tuple[Model, ...]
    default: str | None


class Media(_Record):
    """An uploaded clip."""

    id: MediaId
    name: str
    size: int


class WorkerState(StrEnum):
    """What a device's worker process does."""

    STOPPED = "stopped"
    IDLE = "idle"
    BUSY = "busy"


class Worker(_Record):
    """A device and its worker process, `sound` being the one of jobs without a model; `loaded` are the models that are
    ready in it."""

    device: str
    state: WorkerState
    loaded: tuple[str, ...]


class WorkerList(_Record):
    """One worker a device."""

    workers: tuple[Worker, ...]


class Health(_Record):
    """That the service is there, and which."""

    service: str = "omniaudio"
    api: int = API_VERSION
    version: str
