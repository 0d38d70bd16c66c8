"""The client of the service: jobs, their events, uploads and downloads, over HTTP.

Every error is a `ServiceError` with one message that says what to do. A client connects to the given address and to no
other. `discovery.find` returns the client of the service on this machine. Standard library only.

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
"""To list its back-ends, a service imports the library of each."""


class Client:
    """A service at an address. It holds no connection, so threads may share a client.

    Calls that are safe to repeat are tried up to three times if the connection breaks.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 30.0) -> None:
        """
        Args:
            url: `http://HOST:PORT`, or https; an IPv6 address in brackets.
            token: the service's token; None if it requires none.
            timeout: seconds to wait for data from the service.

        Raises:
            ServiceError: `url` or `token` is malformed.
        """
        self._transport = Transport(url, token, timeout)

    @property
    def url(self) -> str:
        """The address, for people."""
        return self._transport.url

    @property
    def host(self) -> str:
        """A name or an IP address; an IPv6 address without brackets."""
        return self._transport.host

    @property
    def port(self) -> int:
        """The port; the protocol's default if the address has none."""
        return self._transport.port

    @property
    def local(self) -> bool:
        """Whether the address is on this machine."""
        return self._transport.local

    def health(self) -> Health:
        """Check which service answers; needs no token. Raises ServiceError, also if the service has another API."""
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
        """Queue a job. A repeated request id returns the existing job; a request without an id gets one."""
        if request.request_id is None:
            request = replace(request, request_id=uuid4().hex)
        wanted = {name: value for name, value in asdict(request).items() if value is not None}
        job: Job = self._transport.call(Job, "POST", "/jobs", wanted)
        return job

    def models(self) -> ModelList:
        """The models that the service knows, and its default."""
        found: ModelList = self._transport.call(ModelList, "GET", "/models")
        return found

    def backends(self) -> tuple[Backend, ...]:
        """The back-ends that the service knows. The service probes each one, which takes seconds."""
        found: BackendList = self._transport.once(BackendList, "GET", "/backends", timeout=BACKENDS_SECONDS)
        return found.backends

    def job(self, job_id: str) -> Job:
        """The current state of a job."""
        job: Job = self._transport.call(Job, "GET", resource("jobs", job_id))
        return job

    def jobs(self, state: str | None = None, limit: int = 100) -> tuple[Job, ...]:
        """Jobs in a state (None: any), newest first."""
        query = urlencode({"limit": limit} | ({} if state is None else {"state": state}))
        found: JobList = self._transport.call(JobList, "GET", f"/jobs?{query}")
        return found.jobs

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; an ended job stays as it is."""
        job: Job = self._transport.call(Job, "POST", resource("jobs", job_id, "cancel"))
        return job

    def remove(self, job_id: str) -> None:
        """Remove an ended job, and delete its files at the service."""
        self._transport.once(None, "DELETE", resource("jobs", job_id))

    def workers(self) -> tuple[Worker, ...]:
        """The worker of each device."""
        found: WorkerList = self._transport.call(WorkerList, "GET", "/workers")
        return found.workers

    def unload(self) -> tuple[Worker, ...]:
        """End the idle workers, which frees their memory."""
        found: WorkerList = self._transport.call(WorkerList, "POST", "/workers/unload")
        return found.workers

    def requests_for_blender(
        self, name: str, patience: float = PATIENCE_SECONDS, blender: str | None = None, *, renders: bool = True
    ) -> RequestsForBlender:
        """Connect as a Blender while the result is iterated over: it yields the jobs whose scene this Blender is to
        render.

        Args:
            name: the open file, like `forest.blend`; for people.
            patience: seconds that the service may be away, as in `events`.
            blender: its id, 32 random hexadecimal digits. With the same id it may reconnect, and its jobs still wait
                for it. None makes a new one.
            renders: whether it takes jobs. A Blender without a window takes none, but keeps the service running.
        """
        query = {"name": name, "blender": blender or uuid4().hex, "renders": str(renders).lower()}
        return RequestsForBlender(self._transport, f"/blenders/events?{urlencode(query, errors='replace')}", patience)

    def blenders(self) -> tuple[Blender, ...]:
        """The connected Blenders."""
        found: BlenderList = self._transport.call(BlenderList, "GET", "/blenders")
        return found.blenders

    def rendering(self, job_id: str, progress: Progress) -> Job:
        """Report the progress of a rendering. The returned job may be `over`: then the rendering is no longer
        needed."""
        job: Job = self._transport.call(Job, "POST", resource("jobs", job_id, "rendering"), asdict(progress))
        return job

    def give_clip(
        self, job_id: str, source: PathSource | MediaSource, start: float = 0.0, duration: float | None = None
    ) -> Job:
        """Continue a job with the clip that a Blender has rendered for it; times in seconds."""
        job: Job = self._transport.call(
            Job, "POST", resource("jobs", job_id, "clip"), asdict(RenderedClip(source, start, duration))
        )
        return job

    def refuse(self, job_id: str, message: str) -> Job:
        """Fail a job with a message: why Blender does not render it."""
        job: Job = self._transport.call(Job, "POST", resource("jobs", job_id, "refuse"), asdict(Refusal(message)))
        return job

    def wait(self, job_id: str, patience: float = PATIENCE_SECONDS) -> Job:
        """Wait until a job has ended, and return it. Raises ServiceError as `events` does."""
        for job in self.events(job_id, patience):
            last = job
        return last

    def events(self, job_id: str, patience: float = PATIENCE_SECONDS) -> Iterator[Job]:
        """The current state of a job, then its newest state after each change; in the last one it has ended.

        If the connection breaks, this reconnects; the service may restart meanwhile, since its jobs outlive it.
        Raises ServiceError if the service is away for longer than `patience` seconds, or refuses.
        """
        address, what = resource("jobs", job_id, "events"), f"it continues job {job_id}"
        for job in follow(self._transport, address, patience, what=what, line=Line(), end=partial(self.job, job_id)):
            yield job
            if job.over:
                return

    def upload(self, path: Path, on_sent: Callable[[int, int], None] | None = None) -> Media:
        """Upload a clip for a service that cannot read this machine's files. The file is streamed from the disk.

        Args:
            path: the clip's file.
            on_sent: called with the bytes sent so far and the size of the file. An exception cancels the upload.
        """
        return self._transport.upload(path, on_sent)

    def remove_upload(self, media_id: str) -> None:
        """Delete an upload; refused while a job needs it."""
        self._transport.once(None, "DELETE", resource("media", media_id))

    def download(self, job_id: str, file: ResultFile, target: Path) -> None:
        """Download a file of a job to `target`: completely, or `target` stays unchanged."""
        self._transport.download(job_id, file, target)
