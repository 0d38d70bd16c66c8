"""One job at the engine, from the files here to the files here, in a thread of its own. Knows no bpy.

The job outlives the engine: one that crashes is started again, and the job goes on there. It does not outlive the task:
when it is over, the engine forgets it, with its files; but for a job that somebody else has asked for.
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
from .results import FOLDER, Made, MadeTake, ResultFolder, files_of
from .service import Service

__all__ = ["Made", "MadeTake", "Task", "TaskState"]

ASK_SECONDS = 0.25
"""Between two looks at the job. Its stream of events would say more often how it is, but holds who reads it."""
_GONE = (UNREACHABLE, TIMEOUT, SERVICE_FAILED)

_WAITING = Progress("waiting for the engine", 0.0)

T = TypeVar("T")


@dataclass(frozen=True)
class TaskState:
    """`kind` is "starting", "uploading", "queued", "running", "fetching", "done", "failed" or "cancelled". `progress`
    is of what it does now; of a failure there is the `error`, of one that is done the `result`."""

    kind: str = "starting"
    progress: Progress = _WAITING
    error: UserError | None = None
    result: Made | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.kind in ("done", "failed", "cancelled")


class Task:
    """A job that starts at once."""

    def __init__(
        self, engine: Service, request: AnyRequest | Job, files: Mapping[str, Path], folder: Path, stem: str
    ) -> None:
        """
        Args:
            engine: does it; it is woken.
            request: what is wanted; its sources are filled in from `files`. Or a job that waits for a picture that this
                Blender has rendered, which is then the one of `files`, by the name `picture`; it stays at the engine.
            files: the files of this machine, by the request's fields that are to name them: `source`,
                `inpainting.sound`, `sound`, `picture`, `orientations`. They are uploaded where the engine does not read
                them itself.
            folder: where what is made goes; it is there.
            stem: what is made is called `stem`_001, or by the first later number that is free.
        """
        self._engine = engine
        self._request = request if isinstance(request, Job) else replace(request, request_id=uuid4().hex)
        self._files = {field: Path(os.path.abspath(path)) for field, path in files.items()}
        self._folder = ResultFolder(folder, stem, self._files)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._state = TaskState()
        self._placing = False
        self._reached: float | None = None
        threading.Thread(target=self._run, name="omniaudio task", daemon=True).start()

    @property
    def state(self) -> TaskState:
        """As it is now."""
        return self._state

    def cancel(self) -> None:
        """End it, with the job at the engine; nothing of it is left in the folder. Returns at once, and does nothing
        where it is over."""
        with self._lock:
            if not self._state.over:
                self._cancelled.set()
                if not self._placing:  # else it is cancelled when its files can be deleted again
                    self._state = TaskState("cancelled", error=CancelledError())

    def _become(self, state: TaskState) -> None:
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
            self._become(TaskState("failed", error=UserError(error.message, error.code)))
        except Exception as error:  # a fault of ours, or what no one has thought of: whoever waits must hear of it
            traceback.print_exc()
            message = f"Something unexpected happened ({error!r}); please report what the console says."
            self._become(TaskState("failed", error=UserError(message)))
        else:
            with self._lock:
                if self._cancelled.is_set():
                    made.remove()
                    self._state = TaskState("cancelled", error=CancelledError())
                else:
                    self._state = TaskState("done", Progress("done", 1.0), result=made)

    def _made(self) -> Made:
        self._engine.client()  # for which nobody waits who ends the engine
        with self._engine.using(self.cancel):
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
            if not isinstance(self._request, Job):  # such a one is left to who has asked for it
                self._forget(job, uploads)
            return made

    def _created(self, uploads: list[str]) -> Job:
        """The job at the engine, which reads the files or is sent them; `uploads` gets the ids of these."""
        if self._engine.client().local:
            paths = {field: PathSource(str(path)) for field, path in self._files.items()}
            try:
                return self._insist(lambda client: self._ask(client, paths))
            except ServiceError as error:
                if error.code != "source":  # one of them is not there, or the engine may not read it
                    raise
        sent = self._upload(uploads)
        return self._insist(lambda client: self._ask(client, sent))

    def _upload(self, uploads: list[str]) -> dict[str, PathSource | MediaSource]:
        sizes = {field: _size(path) for field, path in self._files.items()}
        total, before = max(1, sum(sizes.values())), 0
        sent: dict[str, PathSource | MediaSource] = {}
        for field, path in self._files.items():
            told = partial(self._uploading, before, total)
            media = self._insist(partial(Client.upload, path=path, on_sent=told))
            uploads.append(media.id)
            sent[field] = MediaSource(media.id)
            before += sizes[field]
        return sent

    def _uploading(self, before: int, total: int, sent: int, _size: int) -> None:
        self._check()
        self._become(TaskState("uploading", Progress("uploading", min(1.0, (before + sent) / total))))

    def _ask(self, client: Client, sources: Mapping[str, PathSource | MediaSource]) -> Job:
        if isinstance(self._request, Job):
            return client.give_clip(self._request.id, sources["clip"])
        return client.create(_with_sources(self._request, sources))

    def _ended(self, job: Job) -> Job:
        """The job when it is done."""
        while not job.over:
            progress = job.progress or Progress("waiting", 0.0)
            self._become(TaskState("running" if job.state == "running" else "queued", progress))
            self._cancelled.wait(ASK_SECONDS)
            job = self._insist(partial(Client.job, job_id=job.id))
        if job.error is not None:
            raise UserError(job.error.message, job.error.code)
        return job

    def _fetched(self, job: Job) -> Made:
        total, done = max(1, sum(file.size for file in files_of(job))), 0

        def download(file: ResultFile, target: Path) -> None:
            nonlocal done
            self._become(TaskState("fetching", Progress("fetching", min(1.0, done / total))))
            self._insist(partial(Client.download, job_id=job.id, file=file, target=target))
            done += file.size

        return self._folder.fetch(job, download, self._may_place)

    def _insist(self, call: Callable[[Client], T]) -> T:
        """What a call to the engine returns. It is repeated where the engine has gone and comes back: what was asked of
        it once it still knows."""
        while True:
            self._check()
            try:
                answer = call(self._engine.client())
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
        """Whoever asked for a job hears that nothing comes of it; one that has ended stays as it is."""
        if self._engine.state.kind != "ready":
            return
        with suppress(UserError, ServiceError):
            client = self._engine.client()
            if isinstance(error, CancelledError):
                client.cancel(job.id)
            else:
                client.refuse(job.id, error.message)

    def _forget(self, job: Job | None, uploads: list[str]) -> None:
        """Nothing of the task stays at the engine, if it is there; if not, it deletes it by itself in time."""
        if self._engine.state.kind != "ready":
            return
        try:
            client = self._engine.client()
            if job is not None:
                client.cancel(job.id)
                client.remove(job.id)
            for media in uploads:
                client.remove_upload(media)
        except (UserError, ServiceError):
            pass


def _with_sources(request: AnyRequest, sources: Mapping[str, PathSource | MediaSource]) -> AnyRequest:
    """A request that names these sources, by its fields; a dot leads to a field of a field."""
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
