"""The client of the service: jobs, their events, uploads and downloads, over HTTP.

Every error is an `ServiceError` with one message that says what to do. A client speaks to the address that it is given
and to no other. `discovery.find` gives the client of the service that runs on this machine. Standard library only.

>>> client = find()
>>> job = client.create(GenerateRequest(PathSource("/home/me/forest.mp4"), duration=10.0))
>>> job = client.wait(job.id)
>>> if job.result is not None:
...     client.download(job.id, job.result.takes[0].sound, Path("forest.wav"))
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from .events import PATIENCE_SECONDS, RequestsForBlender, follow
from .http import FOREIGN, Line, ServiceError, Transport, resource
from .records import (
    API_VERSION,
    SERVICE,
    AnyRequest,
    Backend,
    BackendList,
    Blender,
    BlenderList,
    Health,
    Job,
    JobList,
    Media,
    MediaSource,
    ModelList,
    PathSource,
    Progress,
    Refusal,
    RenderedClip,
    ResultFile,
    Worker,
    WorkerList,
)

BACKENDS_SECONDS = 150.0
"""A service that lists its back-ends imports the library of each."""


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
            ServiceError: `url` is no such address, `token` no such text.
        """
        self._transport = Transport(url, token, timeout)

    @property
    def url(self) -> str:
        """The address, as it is shown."""
        return self._transport.url

    @property
    def host(self) -> str:
        """A name or an IP address; an IPv6 address without brackets."""
        return self._transport.host

    @property
    def port(self) -> int:
        """The port, also where the address leaves it to the protocol."""
        return self._transport.port

    @property
    def local(self) -> bool:
        """Whether the address is this machine's own."""
        return self._transport.local

    def health(self) -> Health:
        """Which service answers; needs no token. Raises ServiceError, also where it is one with another API."""
        health: Health = self._transport.call(Health, "GET", "/health")
        if health.service != SERVICE:
            raise self._transport.foreign()
        if health.api != API_VERSION:
            raise ServiceError(
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
        job: Job = self._transport.call(Job, "POST", "/jobs", wanted)
        return job

    def models(self) -> ModelList:
        """The models that the service knows, and which it takes where a request names none."""
        found: ModelList = self._transport.call(ModelList, "GET", "/models")
        return found

    def backends(self) -> tuple[Backend, ...]:
        """The back-ends that the service knows. It tries each one, which takes seconds."""
        found: BackendList = self._transport.once(BackendList, "GET", "/backends", timeout=BACKENDS_SECONDS)
        return found.backends

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        job: Job = self._transport.call(Job, "GET", resource("jobs", job_id))
        return job

    def jobs(self, state: str | None = None, limit: int = 100) -> tuple[Job, ...]:
        """Jobs of a state, or all; the newest first."""
        query = urlencode({"limit": limit} | ({} if state is None else {"state": state}))
        found: JobList = self._transport.call(JobList, "GET", f"/jobs?{query}")
        return found.jobs

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        job: Job = self._transport.call(Job, "POST", resource("jobs", job_id, "cancel"))
        return job

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended, and delete its files at the service."""
        self._transport.once(None, "DELETE", resource("jobs", job_id))

    def workers(self) -> tuple[Worker, ...]:
        """One a device."""
        found: WorkerList = self._transport.call(WorkerList, "GET", "/workers")
        return found.workers

    def unload(self) -> tuple[Worker, ...]:
        """End the idle workers, which gives their memory back."""
        found: WorkerList = self._transport.call(WorkerList, "POST", "/workers/unload")
        return found.workers

    def requests_for_blender(
        self, name: str, patience: float = PATIENCE_SECONDS, blender: str | None = None, *, renders: bool = True
    ) -> RequestsForBlender:
        """Be a Blender, as long as what is returned is iterated over: the jobs that wait for it to render its scene.

        Args:
            name: what is open in it, like `forest.blend`; for people.
            patience: seconds that the service may stay away, as of `events`.
            blender: its id, 32 hexadecimal digits of its own making: by the same one it is known again, and its jobs
                still wait for it. Where None one is made.
            renders: whether it takes jobs; one without a window is only there, and keeps the service from ending.
        """
        query = {"name": name, "blender": blender or uuid4().hex, "renders": str(renders).lower()}
        return RequestsForBlender(self._transport, f"/blenders/events?{urlencode(query, errors='replace')}", patience)

    def blenders(self) -> tuple[Blender, ...]:
        """Those that are connected."""
        found: BlenderList = self._transport.call(BlenderList, "GET", "/blenders")
        return found.blenders

    def rendering(self, job_id: str, progress: Progress) -> Job:
        """Tell how far a Blender is with its rendering, whose fraction this is. The answer says whether it is still
        wanted: the job may be `over`."""
        job: Job = self._transport.call(Job, "POST", resource("jobs", job_id, "rendering"), asdict(progress))
        return job

    def give_clip(
        self, job_id: str, source: PathSource | MediaSource, start: float = 0.0, duration: float | None = None
    ) -> Job:
        """Give what a Blender has rendered for a job, which goes on with it."""
        job: Job = self._transport.call(
            Job, "POST", resource("jobs", job_id, "clip"), asdict(RenderedClip(source, start, duration))
        )
        return job

    def refuse(self, job_id: str, message: str) -> Job:
        """Say why a Blender does not render for a job, which fails with the message."""
        job: Job = self._transport.call(Job, "POST", resource("jobs", job_id, "refuse"), asdict(Refusal(message)))
        return job

    def wait(self, job_id: str, patience: float = PATIENCE_SECONDS) -> Job:
        """The job when it has ended, however it did. Raises ServiceError as `events` does."""
        for job in self.events(job_id, patience):
            last = job
        return last

    def events(self, job_id: str, patience: float = PATIENCE_SECONDS) -> Iterator[Job]:
        """A job as it is now, then the newest after each change; the last one has ended.

        A service that goes away is asked again, and may start again meanwhile: its jobs outlive it. ServiceError is
        raised where it stays away for longer than `patience` seconds, and where it refuses.
        """
        address, what = resource("jobs", job_id, "events"), f"it goes on with job {job_id}"
        for job in follow(self._transport, address, patience, what=what, line=Line(), end=partial(self.job, job_id)):
            yield job
            if job.over:
                return

    def upload(self, path: Path, on_sent: Callable[[int, int], None] | None = None) -> Media:
        """Send a clip to a service that cannot read this machine's files; it is read from the disk while it is sent.

        Args:
            path: the clip's file.
            on_sent: told the bytes that were sent, and of how many. What it raises ends the upload.
        """
        return self._transport.upload(path, on_sent)

    def remove_upload(self, media_id: str) -> None:
        """Delete an upload that no job waits for."""
        self._transport.once(None, "DELETE", resource("media", media_id))

    def download(self, job_id: str, file: ResultFile, target: Path) -> None:
        """A file of a job, to a path of this machine: whole, or nothing is changed there."""
        self._transport.download(job_id, file, target)
