"""The client of the service: jobs, their events, uploads and downloads, over HTTP.

Standard library only, and one file that imports nothing of this project: it runs as it is in Blender's Python, which is
3.11 to 3.14. The records are the ones of `service/models.py`, by the same names; what a newer service adds to them is
left out. Every error is an `EngineError` with one sentence that says what to do.

A client speaks to the address that it is given and to no other: it follows no redirect and uses no proxy, so that the
token goes nowhere else.

>>> client = find()
>>> job = client.create(JobRequest(PathSource("/home/me/forest.mp4"), duration=10.0))
>>> job = client.wait(job.id)
>>> if job.result is not None:
...     client.download(job.id, job.result.takes[0].sound, Path("forest.wav"))

Source of the events' form: the WHATWG's HTML standard, section 9.2, "Server-sent events".
"""

import http.client
import ipaddress
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import UnionType
from typing import IO, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

API_VERSION = 1
SERVICE = "omniaudio"
ADDRESS, TOKEN = "service.json", "token"
"""Files of a service's folder: where it listens, and the token."""
PATIENCE_SECONDS = 60.0
"""For so long a service may be away while a job is followed."""

UNREACHABLE, TIMEOUT, FOREIGN, FILE = "unreachable", "timeout", "foreign", "file"
"""The client's own codes: nobody answers, or breaks off; nobody answers in time; who answers is no service that this
client knows; a file of this machine cannot be read or written. Other codes are the service's."""

_PAUSES = (0.2, 0.6)
"""Seconds before a call is tried a second and a third time."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds before events are asked for again; twice as long after each failure in a row."""
_SILENCE_SECONDS = 45.0
"""The service says something three times as often while a job is followed; after so long the line is dead."""
_BLOCK = 1 << 20
_MOST_BYTES, _MOST_LINE = 64 << 20, 4 << 20
"""Of an answer in JSON, and of a line of an event: more than any service has to say."""

T = TypeVar("T")


class EngineError(Exception):
    """What went wrong: `sentence` says what to do, `code` is for programs."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


# --- Records --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Error:
    """Why a job failed, in a sentence that says what to do."""

    code: str
    sentence: str


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
class Again:
    """A take whose part is made anew, in seconds of `sound`, while everything outside stays as it is.

    `gain_db` is what the true-peak guard took of the take, as its sidecar says. Where it is None the service reads the
    sidecar beside a path; beside an upload there is none."""

    sound: PathSource | MediaSource
    start: float
    duration: float
    gain_db: float | None = None


@dataclass(frozen=True)
class JobRequest:
    """A generation that is wanted; times in seconds. Where a value is None, the model's or the clip's own is taken.

    `sources` says what sounds, in the form of `sources.json`; where it is None that is recognised. `variation` is 0 for
    an exemplar of each kind itself, and 1 for free generation; `order` is the ambisonics'; with `stems` each source's
    own sound is made as well."""

    source: PathSource | MediaSource | SceneSource
    request_id: str | None = None
    name: str | None = None
    model: str | None = None
    backend: str = "auto"
    start: float = 0.0
    duration: float | None = None
    seed: int = 0
    takes: int = 1
    steps: int | None = None
    guidance: float | None = None
    rate: int | None = None
    preview: bool = True
    map: bool = True
    force: bool = False
    allow_truncated: bool = False
    again: Again | None = None
    sources: dict[str, Any] | None = None
    variation: float | None = None
    order: int = 1
    stems: bool = False
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
class ListenRequest:
    """A binaural preview that is wanted: an AmbiX sound as a head hears it that is turned so, in degrees: to the left,
    nose up, left ear up."""

    sound: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    kind: Literal["listen"] = "listen"


@dataclass(frozen=True)
class TurnRequest:
    """A sound that is wanted in the world's axes, which a turning camera took in its own; `orientations` is a JSON file
    as `omniaudio turn` reads it: how the camera was turned when."""

    sound: PathSource | MediaSource
    orientations: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    preview: bool = True
    kind: Literal["turn"] = "turn"


@dataclass(frozen=True)
class MapRequest:
    """A movie that is wanted: where a sound comes from, drawn over its panorama. The sound begins at `picture_start`
    seconds of the picture."""

    sound: PathSource | MediaSource
    picture: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    picture_start: float = 0.0
    kind: Literal["map"] = "map"


@dataclass(frozen=True)
class DeliverRequest:
    """A 360° video with spatial audio that is wanted: `codec` is pcm, opus or aac; `stereo` is mono, top-bottom or
    side-by-side, or the picture's own."""

    sound: PathSource | MediaSource
    picture: PathSource | MediaSource
    request_id: str | None = None
    name: str | None = None
    picture_start: float = 0.0
    codec: str = "pcm"
    stereo: str | None = None
    force: bool = False
    allow_truncated: bool = False
    kind: Literal["deliver"] = "deliver"


AnyRequest = JobRequest | InspectRequest | ListenRequest | TurnRequest | MapRequest | DeliverRequest
"""A job that is wanted, of any kind."""


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
    request: AnyRequest
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
class Picture:
    """What a Blender has rendered for a job: the source of which the sound is made; times in seconds."""

    source: PathSource | MediaSource
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a Blender does not render for a job, in a sentence that says what to do."""

    sentence: str


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


def _parsed(kind: Any, value: Any) -> Any:
    """A value from JSON as the type that a record declares. Raises ValueError."""
    if get_origin(kind) in (Union, UnionType):
        for option in get_args(kind):
            with suppress(ValueError):
                return _parsed(option, value)
    elif get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_parsed(get_args(kind)[0], item) for item in value)
    elif isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        types = get_type_hints(kind)
        given = {f.name: _parsed(types[f.name], value[f.name]) for f in fields(kind) if f.name in value}
        with suppress(TypeError):  # one without a default is missing
            return kind(**given)
    elif kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    elif kind is float and type(value) is int:
        return float(value)
    elif type(value) in (kind, get_origin(kind)) or (get_origin(kind) is Literal and value in get_args(kind)):
        return value
    raise ValueError(f"{value!r} is no {kind}")


# --- The client -----------------------------------------------------------------------------------------------------


class Client:
    """A service at an address. Holds no connection, so that threads may share one.

    Calls are tried up to three times where the connection breaks; each is safe to repeat, or is not repeated.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 30.0) -> None:
        """
        Args:
            url: `http://HOST:PORT`, or https; an IPv6 address in brackets.
            token: of the service; None where it asks for none.
            timeout: seconds that the service may stay silent while it is waited for.

        Raises:
            EngineError: `url` is no such address, `token` no such text.
        """
        try:
            parts = urlsplit(url.strip())
            self.host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, self.host, port = urlsplit(""), "", None
        # Anything else would be left out silently, a password even be shown in sentences.
        bare = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
        if parts.scheme not in ("http", "https") or not self.host.isascii() or not self.host or not bare:
            raise EngineError(FOREIGN, f"{url!r} is no address of a service: name one like http://127.0.0.1:4360.")
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise EngineError("unauthorized", "The token is no such text: copy the service's file `token` as it is.")
        self._secure = parts.scheme == "https"
        self.port = port or (443 if self._secure else 80)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        self._timeout = timeout

    @property
    def local(self) -> bool:
        """Whether the address is this machine's own."""
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def health(self) -> Health:
        """Which service answers; needs no token. Raises EngineError, also where it is one with another API."""
        health: Health = self._call(Health, "GET", "/health")
        if health.service != SERVICE:
            raise self._foreign()
        if health.api != API_VERSION:
            raise EngineError(
                FOREIGN,
                f"The service at {self.url} speaks version {health.api} of the API, this client {API_VERSION}: "
                f"install the same version of OmniAudio on both sides.",
            )
        return health

    def create(self, request: AnyRequest) -> Job:
        """Queue a job; one with the same request id is queued once. Where it has none, one is made."""
        if request.request_id is None:
            request = replace(request, request_id=uuid4().hex)
        wanted = {name: value for name, value in asdict(request).items() if value is not None}
        job: Job = self._call(Job, "POST", "/jobs", wanted)
        return job

    def models(self) -> ModelList:
        """The models that the service knows, and which it takes where a request names none."""
        found: ModelList = self._call(ModelList, "GET", "/models")
        return found

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        job: Job = self._call(Job, "GET", _address("jobs", job_id))
        return job

    def jobs(self, state: str | None = None, limit: int = 100) -> tuple[Job, ...]:
        """Jobs of a state, or all; the newest first."""
        query = urlencode({"limit": limit} | ({} if state is None else {"state": state}))
        found: JobList = self._call(JobList, "GET", f"/jobs?{query}")
        return found.jobs

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        job: Job = self._call(Job, "POST", _address("jobs", job_id, "cancel"))
        return job

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended, and delete its files at the service."""
        self._once(None, "DELETE", _address("jobs", job_id))

    def workers(self) -> tuple[Worker, ...]:
        """One a device."""
        found: WorkerList = self._call(WorkerList, "GET", "/workers")
        return found.workers

    def unload(self) -> tuple[Worker, ...]:
        """End the idle workers, which gives their memory back."""
        found: WorkerList = self._call(WorkerList, "POST", "/workers/unload")
        return found.workers

    def requests_for_blender(
        self, name: str, patience: float = PATIENCE_SECONDS, blender: str | None = None, *, renders: bool = True
    ) -> "RequestsForBlender":
        """Be a Blender, as long as what is returned is iterated over: the jobs that wait for it to render its scene.

        Args:
            name: what is open in it, like `forest.blend`; for people.
            patience: seconds that the service may stay away, as of `events`.
            blender: its id, 32 hexadecimal digits of its own making: by the same one it is known again, and its jobs
                still wait for it. Where None one is made.
            renders: whether it takes jobs; one without a window is only there, and keeps the service from ending.
        """
        query = {"name": name, "blender": blender or uuid4().hex, "renders": str(renders).lower()}
        return RequestsForBlender(self, f"/blenders/events?{urlencode(query, errors='replace')}", patience)

    def blenders(self) -> tuple[Blender, ...]:
        """Those that are connected."""
        found: BlenderList = self._call(BlenderList, "GET", "/blenders")
        return found.blenders

    def rendering(self, job_id: str, progress: Progress) -> Job:
        """Tell how far a Blender is with its rendering, whose fraction this is. The answer says whether it is still
        wanted: the job may be `over`."""
        job: Job = self._call(Job, "POST", _address("jobs", job_id, "rendering"), asdict(progress))
        return job

    def picture(
        self, job_id: str, source: PathSource | MediaSource, start: float = 0.0, duration: float | None = None
    ) -> Job:
        """Give what a Blender has rendered for a job, which goes on with it."""
        job: Job = self._call(
            Job, "POST", _address("jobs", job_id, "picture"), asdict(Picture(source, start, duration))
        )
        return job

    def refuse(self, job_id: str, sentence: str) -> Job:
        """Say why a Blender does not render for a job, which fails with the sentence."""
        job: Job = self._call(Job, "POST", _address("jobs", job_id, "refuse"), asdict(Refusal(sentence)))
        return job

    def wait(self, job_id: str, patience: float = PATIENCE_SECONDS) -> Job:
        """The job when it has ended, however it did. Raises EngineError as `events` does."""
        for job in self.events(job_id, patience):
            last = job
        return last

    def events(self, job_id: str, patience: float = PATIENCE_SECONDS) -> Iterator[Job]:
        """A job as it is now, then the newest after each change; the last one has ended.

        A service that goes away is asked again, and may start again meanwhile: its jobs outlive it. EngineError is
        raised where it stays away for longer than `patience` seconds, and where it refuses.
        """
        address, what = _address("jobs", job_id, "events"), f"it goes on with job {job_id}"
        for job in self._followed(address, patience, what, _Line(), partial(self.job, job_id)):
            yield job
            if job.over:
                return

    def upload(self, path: Path, on_sent: Callable[[int, int], None] | None = None) -> Media:
        """Send a clip to a service that cannot read this machine's files; it is read from the disk while it is sent.

        Args:
            path: the clip's file.
            on_sent: told the bytes that were sent, and of how many. What it raises ends the upload.
        """
        with _file_refusals(path, "read"):
            file = path.open("rb")
        with file:
            size = os.fstat(file.fileno()).st_size
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            address = f"/media?{urlencode({'name': path.name}, errors='replace')}"
            media: Media = self._once(Media, "POST", address, _sent(file, path, size, on_sent), headers)
        return media

    def remove_upload(self, media_id: str) -> None:
        """Delete an upload that no job waits for."""
        self._once(None, "DELETE", _address("media", media_id))

    def download(self, job_id: str, file: ResultFile, target: Path) -> None:
        """A file of a job, to a path of this machine: whole, or nothing is changed there."""
        self._repeated(partial(self._download, job_id, file, target))

    # --- Below: one request at a time -------------------------------------------------------------------------------

    def _download(self, job_id: str, file: ResultFile, target: Path) -> None:
        unfinished = target.with_name(f".omniaudio-{uuid4().hex[:8]}.part")
        try:
            with self._answer("GET", _address("jobs", job_id, "files", file.name)) as response:
                size = 0
                with _file_refusals(target, "written"):
                    writer = unfinished.open("xb")
                with writer:
                    while size <= file.size and (block := response.read(_BLOCK)):
                        size += len(block)
                        with _file_refusals(target, "written"):
                            writer.write(block)
                    with _file_refusals(target, "written"):
                        writer.flush()
            if size != file.size:
                raise EngineError(
                    UNREACHABLE,
                    f"{file.name} came with {size} of {file.size} bytes from {self.url}: download it again.",
                )
            with _file_refusals(target, "written"):
                unfinished.replace(target)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _followed(
        self,
        address: str,
        patience: float,
        what: str,
        line: "_Line",
        end: Callable[[], Job] | None = None,
    ) -> Iterator[Job]:
        """The jobs of a stream of events, which is asked for again when it ends, until the line is closed.

        Args:
            address: the stream's.
            patience: seconds that the service may be away.
            what: happens when it is started again, for a sentence.
            line: what may be closed meanwhile.
            end: the job whose end is known, where the service says that there is no news.
        """
        known, pause, lost = "", _FIRST_PAUSE, time.monotonic()
        while not line.closed.is_set():
            reason: EngineError | None = None
            try:
                for event, job in self._stream(address, known, line, end):
                    known, pause, lost = event, _FIRST_PAUSE, time.monotonic()
                    if job is not None:
                        yield job
            except EngineError as error:
                if error.code not in (UNREACHABLE, TIMEOUT):
                    raise
                reason = error
            if time.monotonic() - lost > patience:
                raise EngineError(
                    UNREACHABLE,
                    f"The service at {self.url} has been away for {patience:g} s: start it again, and {what}.",
                ) from reason
            line.closed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _stream(
        self, address: str, known: str, line: "_Line", end: Callable[[], Job] | None
    ) -> Iterator[tuple[str, Job | None]]:
        """The events after the one that is known, each with its id; without a job where there is no news."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": known} if known else {})
        wait = max(self._timeout, _SILENCE_SECONDS)
        with self._answer("GET", address, headers=headers, timeout=wait, line=line) as response:
            if response.status == http.HTTPStatus.NO_CONTENT and end is not None:
                yield known, end()
            data: list[str] = []
            while (said := response.readline(_MOST_LINE)).endswith(b"\n"):
                name, colon, value = said.decode().rstrip("\r\n").partition(":")
                if not name and colon:
                    yield known, None
                elif not name and data:
                    yield known, self._record(Job, "\n".join(data))
                    data.clear()
                elif name == "id":
                    known = value.removeprefix(" ")
                elif name == "data":
                    data.append(value.removeprefix(" "))
            if len(said) == _MOST_LINE:
                raise self._foreign()

    def _call(self, kind: Any, method: str, address: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self._repeated(partial(self._once, kind, method, address, content, headers))

    def _repeated(self, call: Callable[[], T]) -> T:
        for pause in _PAUSES:
            try:
                return call()
            except EngineError as error:
                if error.code != UNREACHABLE:
                    raise
            time.sleep(pause)
        return call()

    def _once(
        self,
        kind: Any,
        method: str,
        address: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},
    ) -> Any:
        with self._answer(method, address, body, headers) as response:
            content = self._content(response)
        return None if kind is None else self._record(kind, content)

    def _record(self, kind: Any, content: str | bytes) -> Any:
        try:
            return _parsed(kind, json.loads(content))
        except (ValueError, RecursionError) as error:
            raise self._foreign() from error

    def _content(self, response: http.client.HTTPResponse) -> bytes:
        content = response.read(_MOST_BYTES)
        if response.length:  # what is still to come
            raise self._foreign() if len(content) == _MOST_BYTES else http.client.IncompleteRead(content)
        return content

    @contextmanager
    def _answer(
        self,
        method: str,
        address: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},
        *,
        timeout: float | None = None,
        line: "_Line | None" = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """A successful answer, to be read; everything else, and what goes wrong in between, is an EngineError."""
        seconds = self._timeout if timeout is None else timeout
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=seconds)
        own = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            try:
                connection.request(method, f"/v{API_VERSION}{address}", body, {**own, **headers})
            except ConnectionError:
                # The service may have refused before it had read everything: then its answer is there.
                if connection.sock is None:
                    raise
            if line is not None:
                line.opened(connection.sock)
            response = connection.getresponse()
            if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                raise self._refusal(response)
            yield response
        except TimeoutError as error:
            sentence = f"The service at {self.url} did not answer within {seconds:g} s: look whether it still works."
            raise EngineError(TIMEOUT, sentence) from error
        except ConnectionRefusedError as error:
            sentence = f"No service answers at {self.url}: start it with `omniaudio serve`, or name its right address."
            raise EngineError(UNREACHABLE, sentence) from error
        except (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead) as error:
            sentence = f"The connection to the service at {self.url} broke off: look whether it still runs."
            raise EngineError(UNREACHABLE, sentence) from error
        except (http.client.HTTPException, UnicodeError) as error:
            raise self._foreign() from error
        except OSError as error:
            what = (
                "is not known"
                if isinstance(error, socket.gaierror)
                else f"cannot be reached ({error.strerror or error})"
            )
            raise EngineError(UNREACHABLE, f"{self.url} {what}: check the address and the network.") from error
        finally:
            connection.close()

    def _refusal(self, response: http.client.HTTPResponse) -> EngineError:
        """What the service says about an answer that is no success."""
        if response.status < http.HTTPStatus.BAD_REQUEST:
            where = (response.getheader("Location") or "nowhere")[:200]
            return EngineError(FOREIGN, f"{self.url} leads on to {where}: name the service's own address.")
        try:
            told = json.loads(self._content(response))["error"]
            return EngineError(str(told["code"]), str(told["sentence"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        if response.status in (http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.SERVICE_UNAVAILABLE):
            return EngineError(UNREACHABLE, f"The service at {self.url} is not ready: ask again in a moment.")
        return self._foreign()

    def _foreign(self) -> EngineError:
        return EngineError(
            FOREIGN,
            f"{self.url} answers, but not as this version of OmniAudio's service does: check the address, and that "
            f"both sides are of the same version.",
        )


class _Line:
    """A connection that another thread may close, whoever waits for something to come by it."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._connection: socket.socket | None = None

    def opened(self, connection: socket.socket) -> None:
        """A new connection takes the place of the one before."""
        self._connection = connection
        if self.closed.is_set():
            self.close()

    def close(self) -> None:
        self.closed.set()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


class RequestsForBlender(Iterator[Job]):
    """The jobs that wait for this Blender, each once, as they come; as long as this is not closed, it is connected.

    One thread iterates, which waits in between; another one may `close` it. A service that goes away is asked again, as
    `Client.events` does, and knows this Blender again by its id."""

    def __init__(self, client: Client, address: str, patience: float) -> None:
        self._line = _Line()
        self._told: set[str] = set()
        self._jobs = client._followed(address, patience, "Blender connects to it again", self._line)

    def __next__(self) -> Job:
        """The next job. Raises StopIteration once this is closed, EngineError as `Client.events`."""
        try:
            for job in self._jobs:
                if job.id not in self._told:
                    self._told.add(job.id)
                    return job
        except Exception:
            # What reading raises from a connection that was closed meanwhile is of any kind, with TLS.
            if not self._line.closed.is_set():
                raise
        raise StopIteration

    def close(self) -> None:
        """Leave the service, from any thread; who iterates comes to the end at once. Jobs that still wait for this
        Blender fail."""
        self._line.close()


def find(folder: Path | None = None, timeout: float = 30.0) -> Client:
    """The service that was last started in a folder, else in the user's own; whether it runs is not asked. `timeout` as
    of `Client`.

    Raises:
        EngineError: none was started there, or its files cannot be read.
    """
    folder = folder or default_folder()
    try:
        url = json.loads((folder / ADDRESS).read_bytes())["url"]
        token = (folder / TOKEN).read_text("ascii").strip() if (folder / TOKEN).exists() else None
    except FileNotFoundError as error:
        sentence = "No service runs on this machine: start one with `omniaudio serve`, or name its address."
        raise EngineError(UNREACHABLE, sentence) from error
    except OSError as error:
        raise EngineError(FILE, f"{error.filename} cannot be read ({error.strerror}): mend its permissions.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(FILE, f"The files in {folder} are damaged: start the service again.") from error
    return Client(str(url), token, timeout)


def default_folder(platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a user's service keeps its files, on a platform."""
    home = Path.home()
    if platform == "win32":
        data = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif environment.get("XDG_DATA_HOME", "").startswith("/"):
        data = Path(environment["XDG_DATA_HOME"])
    else:
        data = home / "Library" / "Application Support" if platform == "darwin" else home / ".local" / "share"
    return data / SERVICE / "service"


def _address(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _sent(file: IO[bytes], path: Path, size: int, on_sent: Callable[[int, int], None] | None) -> Iterator[bytes]:
    """A file's blocks, as many bytes as it had at first: what was said of it must stay true."""
    sent = 0
    while sent < size:
        with _file_refusals(path, "read"):
            block = file.read(min(_BLOCK, size - sent))
        if not block:
            raise EngineError(FILE, f"{path} became shorter while it was sent: send it again when it is complete.")
        yield block
        sent += len(block)
        if on_sent is not None:
            on_sent(sent, size)


@contextmanager
def _file_refusals(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "choose another place, or make room there" if done == "written" else "check its path and permissions"
        raise EngineError(FILE, f"{path} cannot be {done} ({error.strerror or error}): {advice}.") from error
