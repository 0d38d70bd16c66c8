"""One job at the service, from local files to local files, in a thread of its own. Does not import bpy.

The job survives a crash of the service, which is restarted. When it is over, the service deletes the job and its files,
unless another client created it.
"""

import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from omniaudio_client.client import Client
from omniaudio_client.discovery import SERVICE_FAILED
from omniaudio_client.events import PATIENCE_SECONDS
from omniaudio_client.http import TIMEOUT, UNREACHABLE, ServiceError
from omniaudio_client.records import AnyRequest, Job, MediaSource, PathSource, Progress, ResultFile

from ..core.errors import CancelledError, UserError
from .results import FOLDER, LocalResult, ResultFolder, TakeFiles, files_of
from .service import Service

__all__ = ["LocalResult", "ServiceJob", "ServiceJobState", "TakeFiles"]

ASK_SECONDS = 0.25
"""Polling interval. The job's stream of events would be faster, but blocks its reader."""
_GONE = (UNREACHABLE, TIMEOUT, SERVICE_FAILED)

_WAITING = Progress("waiting for the engine", 0.0)

T = TypeVar("T")


@dataclass(frozen=True)
class ServiceJobState:
    """`kind` is "starting", "uploading", "queued", "running", "fetching", "done", "failed" or "cancelled". `progress`
    is of the current kind; a failed job has an `error`, one that is done a `result`."""

    kind: str = "starting"
    progress: Progress = _WAITING
    error: UserError | None = None
    result: LocalResult | None = None

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.kind in ("done", "failed", "cancelled")


class ServiceJob:
    """A job at the service; starts at once."""

    def __init__(
        self, service: Service, request: AnyRequest | Job, files: Mapping[str, Path], folder: Path, stem: str
    ) -> None:
        """
        Args:
            service: carries out the job; it is started if necessary.
            request: the request, whose inputs are filled in from `files`; or another client's job that waits for the
                clip rendered here, which is `files["clip"]`. Such a job stays at the service.
            files: local files by the request's fields: `source`, `inpainting.sound`, `sound`, `clip`, `orientations`.
                They are uploaded if the service cannot read them.
            folder: for the results; has to exist.
            stem: the results are named `stem`_001, or by the first free later number.
        """
        self._service = service
        self._request = request if isinstance(request, Job) else replace(request, request_id=uuid4().hex)
        self._files = {field: Path(os.path.abspath(path)) for field, path in files.items()}
        self._folder = ResultFolder(folder, stem, self._files)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._state = ServiceJobState()
        self._placing = False
        self._reached: float | None = None
        threading.Thread(target=self._run, name="omniaudio job", daemon=True).start()

    @property
    def state(self) -> ServiceJobState:
        """The current state."""
        return self._state

    def cancel(self) -> None:
        """Cancel the job here and at the service; leaves no files in the folder. Returns at once; does nothing if the
        job has ended."""
        with self._lock:
            if not self._state.over:
                self._cancelled.set()
                if not self._placing:  # otherwise once its files can be deleted again
                    self._state = ServiceJobState("cancelled", error=CancelledError())

    def _become(self, state: ServiceJobState) -> None:
        with self._lock:
            if not self._state.over:
                self._state = state

    def _may_place(self) -> bool:
        with self._lock:
            self._placing = not self._state.over
            return self._placing

    def _run(self) -> None:
        try:
            made = self._made()
        except (UserError, ServiceError) as error:
            self._become(ServiceJobState("failed", error=UserError(error.message, error.code)))
        except Exception as error:  # a bug: whoever waits for the job must get an error
            traceback.print_exc()
            message = f"Unexpected error ({error!r}); please report it with the console's output."
            self._become(ServiceJobState("failed", error=UserError(message)))
        else:
            with self._lock:
                if self._cancelled.is_set():
                    made.remove()
                    self._state = ServiceJobState("cancelled", error=CancelledError())
                else:
                    self._state = ServiceJobState("done", Progress("done", 1.0), result=made)

    def _made(self) -> LocalResult:
        self._service.client()  # before `using`: `stop` does not wait for it
        with self._service.using(self.cancel):
            uploads: list[str] = []
            job: Job | None = None
            try:
                job = self._created(uploads)
                made = self._fetched(self._ended(job))
            except (UserError, ServiceError) as error:
                if isinstance(self._request, Job):
                    self._give_up(self._request, error)
                elif error.code != FOLDER:
                    self._forget(job, uploads)
                raise
            if not isinstance(self._request, Job):  # another client's job is left to that client
                self._forget(job, uploads)
            return made

    def _created(self, uploads: list[str]) -> Job:
        """Creates the job at the service, which reads the files or gets uploads; appends their ids to `uploads`."""
        if self._service.client().local:
            paths = {field: PathSource(str(path)) for field, path in self._files.items()}
            try:
                return self._insist(lambda client: self._ask(client, paths))
            except ServiceError as error:
                if error.code != "source":  # a file is missing, or the service may not read it
                    raise
        sent = self._upload(uploads)
        return self._insist(lambda client: self._ask(client, sent))

    def _upload(self, uploads: list[str]) -> dict[str, PathSource | MediaSource]:
        sizes = {field: _size(path) for field, path in self._files.items()}
        total, before = max(1, sum(sizes.values())), 0
        sent: dict[str, PathSource | MediaSource] = {}
        for field, path in self._files.items():
            on_sent = partial(self._uploading, before, total)
            media = self._insist(partial(Client.upload, path=path, on_sent=on_sent))
            uploads.append(media.id)
            sent[field] = MediaSource(media.id)
            before += sizes[field]
        return sent

    def _uploading(self, before: int, total: int, sent: int, _size: int) -> None:
        self._check()
        self._become(ServiceJobState("uploading", Progress("uploading", min(1.0, (before + sent) / total))))

    def _ask(self, client: Client, sources: Mapping[str, PathSource | MediaSource]) -> Job:
        if isinstance(self._request, Job):
            return client.give_clip(self._request.id, sources["clip"])
        return client.create(_with_sources(self._request, sources))

    def _ended(self, job: Job) -> Job:
        """Waits until the job has ended."""
        while not job.over:
            progress = job.progress or Progress("waiting", 0.0)
            self._become(ServiceJobState("running" if job.state == "running" else "queued", progress))
            self._cancelled.wait(ASK_SECONDS)
            job = self._insist(partial(Client.job, job_id=job.id))
        if job.error is not None:
            raise UserError(job.error.message, job.error.code)
        return job

    def _fetched(self, job: Job) -> LocalResult:
        total, done = max(1, sum(file.size for file in files_of(job))), 0

        def download(file: ResultFile, target: Path) -> None:
            nonlocal done
            self._become(ServiceJobState("fetching", Progress("fetching", min(1.0, done / total))))
            self._insist(partial(Client.download, job_id=job.id, file=file, target=target))
            done += file.size

        return self._folder.fetch(job, download, self._may_place)

    def _insist(self, call: Callable[[Client], T]) -> T:
        """Calls the service, and repeats the call while the service restarts: requests have ids, so none is carried out
        twice."""
        while True:
            self._check()
            try:
                answer = call(self._service.client())
            except (UserError, ServiceError) as error:
                away = self._reached is None or time.monotonic() - self._reached > PATIENCE_SECONDS
                if error.code not in _GONE or away:
                    raise
            else:
                self._reached = time.monotonic()
                return answer
            self._cancelled.wait(ASK_SECONDS)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError

    def _give_up(self, job: Job, error: UserError | ServiceError) -> None:
        """Tells the client that created the job that it fails; does nothing to a job that has ended."""
        if self._service.state.kind != "ready":
            return
        with suppress(UserError, ServiceError):
            client = self._service.client()
            if isinstance(error, CancelledError):
                client.cancel(job.id)
            else:
                client.refuse(job.id, error.message)

    def _forget(self, job: Job | None, uploads: list[str]) -> None:
        """Deletes the job and its uploads at the service; if it is unreachable, they expire there."""
        if self._service.state.kind != "ready":
            return
        try:
            client = self._service.client()
            if job is not None:
                client.cancel(job.id)
                client.remove(job.id)
            for media in uploads:
                client.remove_upload(media)
        except (UserError, ServiceError):
            pass


def _with_sources(request: AnyRequest, sources: Mapping[str, PathSource | MediaSource]) -> AnyRequest:
    """Fills a request's input fields; `a.b` is field `b` of field `a`."""
    changed: Any = request
    for field, source in sources.items():
        name, _, inner = field.partition(".")
        value = replace(getattr(changed, name), **{inner: source}) if inner else source
        changed = replace(changed, **{name: value})
    filled: AnyRequest = changed
    return filled


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check that it is still there.", "file") from error
