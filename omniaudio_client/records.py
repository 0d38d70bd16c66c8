"""What the service is asked and what it answers: frozen records, by the names of the service's own schema.

What a newer service adds to a record is left out. Standard library only.
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
    """Why a job failed, in a message that says what to do."""

    code: str
    message: str


@dataclass(frozen=True)
class PathSource:
    """A clip on the service's own machine: an absolute path."""

    path: str


@dataclass(frozen=True)
class MediaSource:
    """A clip that was uploaded: an upload's id."""

    media: str


@dataclass(frozen=True)
class SceneSource:
    """The scene that is open in a Blender that is connected; None is the scene's own first or last frame, and its own
    camera."""

    frame_start: int | None = None
    frame_end: int | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Inpainting:
    """A part of a take that is made anew, in seconds of `sound`, while everything outside stays as it is.

    `gain_db` is the true-peak gain reduction of the take, as its sidecar says. Where it is None the service reads the
    sidecar beside a path; beside an upload there is none."""

    sound: PathSource | MediaSource
    start: float
    duration: float
    gain_db: float | None = None


@dataclass(frozen=True)
class GenerateRequest:
    """A generation that is wanted; times in seconds. Where a value is None, the model's or the clip's own is taken.

    `sources` says what sounds, in the form of `sources.json`; where it is None that is recognised."""

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
    """A recognition that is wanted: what sounds in a clip. The result's `sources` may be edited, and given to a
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
    """A binaural rendering that is wanted of an AmbiX sound, with the head's rotation in degrees: to the left, nose up,
    left ear up."""

    sound: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    kind: Literal["binaural"] = "binaural"


@dataclass(frozen=True)
class RotateRequest:
    """A world-locked sound that is wanted of a head-locked one; `orientations` is a JSON file as `omniaudio rotate`
    reads it: the camera's orientations by time."""

    sound: PathSource | MediaSource
    orientations: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    preview: bool = True
    kind: Literal["rotate"] = "rotate"


@dataclass(frozen=True)
class MapRequest:
    """A direction map that is wanted as a video: where a sound comes from, drawn over its panorama. The sound begins at
    `clip_start` seconds of the clip."""

    sound: PathSource | MediaSource
    clip: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    clip_start: float = 0.0
    kind: Literal["map"] = "map"


@dataclass(frozen=True)
class ExportRequest:
    """A 360° video with spatial audio that is wanted: `codec` is pcm, opus or aac; `stereo` is mono, top-bottom or
    side-by-side, or the clip's own."""

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
    """A request of a kind that this client does not know, as a job of it is listed."""

    kind: str


AnyRequest = GenerateRequest | InspectRequest | BinauralRequest | RotateRequest | MapRequest | ExportRequest
"""A job that is wanted, of any kind that this client knows."""


@dataclass(frozen=True)
class Progress:
    """How far a job is: `fraction` of the whole, 0 to 1, and the seconds left where they are known."""

    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class ResultFile:
    """A file that a job has made: on the service's machine at `path`, to be downloaded by its `name`; `size` in
    bytes."""

    name: str
    path: str
    size: int


@dataclass(frozen=True)
class TakeResult:
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


@dataclass(frozen=True)
class Result:
    """What a job that is done has made: takes, one file of another kind, or what sounds in a clip, in the form of
    `sources.json`. `model` and `backend` are None where none ran; `converted_from` is what the sound that was given
    declares itself to be, where it is not AmbiX."""

    model: str | None
    backend: str | None
    takes: tuple[TakeResult, ...] = ()
    files: tuple[ResultFile, ...] = ()
    converted_from: str | None = None
    sources: dict[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """What is wanted and what has become of it. `state` is queued, running, done, failed or cancelled."""

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
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True)
class JobList:
    """Jobs, the newest first."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class RenderedClip:
    """What a Blender has rendered for a job: the source of which the sound is made; times in seconds."""

    source: PathSource | MediaSource
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a Blender does not render for a job, in a message that says what to do."""

    message: str


@dataclass(frozen=True)
class Blender:
    """A Blender that is connected: the id that it has made up, and what is open in it."""

    id: str
    name: str


@dataclass(frozen=True)
class BlenderList:
    """The Blenders that are connected, who came last as the last one."""

    blenders: tuple[Blender, ...]


@dataclass(frozen=True)
class Model:
    """A model, and what it does where a request leaves it to the model; `ready` where it needs not be fetched first.
    `native_seconds` it makes at once, longer clips in overlapping windows; `rate` in Hz."""

    name: str
    ready: bool
    native_seconds: float
    rate: int
    steps: int
    guidance: float
    licence: str


@dataclass(frozen=True)
class Backend:
    """A back-end, which runs models: what it can run on anywhere, and on which device here; where it is not available,
    the reason and what to do."""

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
    """The models that the service knows; `default` is the one that is taken where a request names none."""

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
    """A device and its worker process, `sound` being the one of jobs without a model: stopped, idle or busy; `loaded`
    are the models that are ready in it."""

    device: str
    state: str
    loaded: tuple[str, ...]


@dataclass(frozen=True)
class WorkerList:
    """One worker a device."""

    workers: tuple[Worker, ...]


@dataclass(frozen=True)
class Health:
    """Which service it is."""

    service: str
    api: int
    version: str


def parsed(kind: Any, value: Any) -> Any:
    """A value from JSON as the type that a record declares. Raises ValueError."""
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
