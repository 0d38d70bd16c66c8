"""The requests and answers of the service: frozen records, with the names of the service's own schema.

Fields that a newer service adds are ignored. Standard library only.
"""

from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .options import GenerationOptions

API_VERSION = 1
SERVICE = "omniaudio"


@dataclass(frozen=True)
class Error:
    """Why a job failed: `code` is for programs, `message` says what to do."""

    code: str
    message: str


@dataclass(frozen=True)
class PathSource:
    """A clip on the service's own machine: an absolute path."""

    path: str


@dataclass(frozen=True)
class MediaSource:
    """An uploaded clip: the upload's id."""

    media: str


@dataclass(frozen=True)
class SceneSource:
    """The scene that is open in a connected Blender. None means the scene's own first frame, last frame or camera."""

    frame_start: int | None = None
    frame_end: int | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Inpainting:
    """A range of a take to generate again while the rest stays; times in seconds of `sound`.

    `gain_db` is the true-peak gain reduction of the take, from its sidecar. None: the service reads the sidecar beside
    the path; an upload has none."""

    sound: PathSource | MediaSource
    start: float
    duration: float
    gain_db: float | None = None


@dataclass(frozen=True)
class GenerateRequest:
    """A generation; times in seconds. None means the default of the model or the clip.

    `sources` has the form of `sources.json`; None: they are recognised."""

    source: PathSource | MediaSource | SceneSource
    request_id: str | None = None
    name: str | None = None
    start: float = 0.0
    duration: float | None = None
    rate: int | None = None
    options: GenerationOptions = field(default_factory=GenerationOptions)
    force: bool = False
    allow_truncated: bool = False
    inpainting: Inpainting | None = None
    sources: dict[str, Any] | None = None
    kind: Literal["generate"] = "generate"


@dataclass(frozen=True)
class InspectRequest:
    """An inspection: recognises the sources in a clip. The result's `sources` may be edited, and given to a
    generation."""

    source: PathSource | MediaSource
    start: float = 0.0
    duration: float | None = None
    force: bool = False
    allow_truncated: bool = False
    request_id: str | None = None
    kind: Literal["inspect"] = "inspect"


@dataclass(frozen=True)
class BinauralRequest:
    """A binaural rendering of an AmbiX sound, with the head's rotation in degrees: to the left, nose up, left ear
    up."""

    sound: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    kind: Literal["binaural"] = "binaural"


@dataclass(frozen=True)
class RotateRequest:
    """A rotation of a head-locked sound to a world-locked one; `orientations` is a JSON file as `omniaudio rotate`
    reads
    it: the camera's orientations by time."""

    sound: PathSource | MediaSource
    orientations: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    preview: bool = True
    kind: Literal["rotate"] = "rotate"


@dataclass(frozen=True)
class MapRequest:
    """A direction map as a video: where a sound comes from, drawn over its panorama. The sound begins at `clip_start`
    seconds of the clip."""

    sound: PathSource | MediaSource
    clip: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    clip_start: float = 0.0
    kind: Literal["map"] = "map"


@dataclass(frozen=True)
class ExportRequest:
    """An export as a 360° video with spatial audio: `codec` is pcm, opus or aac; `stereo` is mono, top-bottom or
    side-by-side; None: the clip's own."""

    sound: PathSource | MediaSource
    clip: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    clip_start: float = 0.0
    codec: str = "pcm"
    stereo: str | None = None
    force: bool = False
    allow_truncated: bool = False
    kind: Literal["export"] = "export"


@dataclass(frozen=True)
class OtherRequest:
    """The request of a listed job whose kind this client does not know."""

    kind: str


AnyRequest = GenerateRequest | InspectRequest | BinauralRequest | RotateRequest | MapRequest | ExportRequest
"""A request of any kind that this client knows."""


@dataclass(frozen=True)
class Progress:
    """The progress of a job: `fraction` is 0 to 1; `seconds_left` is None if unknown."""

    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class ResultFile:
    """A file of a job: at `path` on the service's machine, for download by `name`; `size` in bytes."""

    name: str
    path: str
    size: int


@dataclass(frozen=True)
class TakeResult:
    """The files of a take, and its measures. `sound` and the stems are AmbiX (ACN, SN3D) of the requested order, four
    channels for order 1. `seed` is None if no model ran."""

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


@dataclass(frozen=True)
class Result:
    """The result of a finished job: takes, one file of another kind, or the sources of a clip, in the form of
    `sources.json`. `model` and `backend` are None if no model ran; `converted_from` is the convention that the given
    sound declares, if it is not AmbiX."""

    model: str | None
    backend: str | None
    takes: tuple[TakeResult, ...] = ()
    files: tuple[ResultFile, ...] = ()
    converted_from: str | None = None
    sources: dict[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A request and its state: queued, running, done, failed or cancelled."""

    id: str
    state: str
    request: AnyRequest | OtherRequest
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress | None = None
    result: Result | None = None
    error: Error | None = None

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True)
class JobList:
    """Jobs, newest first."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class RenderedClip:
    """The clip that a Blender has rendered for a job; times in seconds."""

    source: PathSource | MediaSource
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a Blender does not render for a job: a message that says what to do."""

    message: str


@dataclass(frozen=True)
class Blender:
    """A connected Blender: the id that it chose, and the name of its open file."""

    id: str
    name: str


@dataclass(frozen=True)
class BlenderList:
    """The connected Blenders, in the order in which they connected."""

    blenders: tuple[Blender, ...]


@dataclass(frozen=True)
class Model:
    """A model and its defaults. `ready` is false if it must be downloaded first. It generates `native_seconds` at once,
    and longer clips in overlapping windows; `rate` in Hz."""

    name: str
    ready: bool
    native_seconds: float
    rate: int
    steps: int
    guidance: float
    licence: str


@dataclass(frozen=True)
class Backend:
    """A back-end, which runs models: `devices` are those that it supports, `device` is the one here. If it is not
    available, `reason` says why and what to do."""

    name: str
    label: str
    available: bool
    devices: str
    device: str | None
    versions: dict[str, str]
    reason: str | None


@dataclass(frozen=True)
class BackendList:
    """The back-ends that the service knows."""

    backends: tuple[Backend, ...]


@dataclass(frozen=True)
class ModelList:
    """The models that the service knows; `default` is the one for requests that name none."""

    models: tuple[Model, ...]
    default: str | None


@dataclass(frozen=True)
class Media:
    """An uploaded clip."""

    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Worker:
    """A device and its worker process; the device `sound` is for jobs without a model. `state` is stopped, idle or
    busy; `loaded` names the models in its memory."""

    device: str
    state: str
    loaded: tuple[str, ...]


@dataclass(frozen=True)
class WorkerList:
    """The worker of each device."""

    workers: tuple[Worker, ...]


@dataclass(frozen=True)
class Health:
    """The service's name, and the versions of its API and of itself."""

    service: str
    api: int
    version: str


def parsed(kind: Any, value: Any) -> Any:
    """Convert a value from JSON to the type that a record declares. Raises ValueError if it does not fit."""
    if get_origin(kind) in (Union, UnionType):
        for option in get_args(kind):
            with suppress(ValueError):
                return parsed(option, value)
    elif get_origin(kind) is tuple and isinstance(value, list):
        return tuple(parsed(get_args(kind)[0], item) for item in value)
    elif isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        types = get_type_hints(kind)
        given = {f.name: parsed(types[f.name], value[f.name]) for f in fields(kind) if f.name in value}
        with suppress(TypeError):  # one without a default is missing
            return kind(**given)
    elif kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    elif kind is float and type(value) is int:
        return float(value)
    elif type(value) in (kind, get_origin(kind)) or (get_origin(kind) is Literal and value in get_args(kind)):
        return value
    raise ValueError(f"{value!r} is no {kind}")
