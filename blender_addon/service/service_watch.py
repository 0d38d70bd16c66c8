"""Finds or starts a service, watches it and restarts it, until it is released. Does not import bpy.

While it is watched, its stream of render requests stays open, which tells the service that a Blender uses it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from omniaudio_client.client import Client
from omniaudio_client.discovery import SERVICE_FAILED, ServiceProcess, log_of, running
from omniaudio_client.events import RequestsForBlender
from omniaudio_client.http import FOREIGN, UNREACHABLE, ServiceError
from omniaudio_client.records import Backend, Job, Model

from ..core.errors import UserError
from . import known_backends
from .service_program import NO_PROGRAM, find_program, roots

PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Between a failure and the next attempt, by the number of consecutive failures before it."""
STEADY_SECONDS = 30.0
"""A service that ran this long before it failed resets the count of failures."""

OFFLINE = "offline"
"""Error code: the service is on another machine, and Blender may not go online."""

_GONE_SECONDS, _GONE_REMOTE_SECONDS = 2.0, 30.0
"""A service whose stream is interrupted for longer is gone: a local one, which is restarted, or a remote one."""
_NOT_MENDED_BY_WAITING = ("unauthorized", "forbidden", NO_PROGRAM, OFFLINE)
_IN_BLENDER = {
    "unauthorized": "The engine asks for its token: copy the text of the file `token` in the engine's folder, as it "
    "is, into the extension's preferences."
}
"""Replacements for the service's messages in terms of the extension, by error code."""


@dataclass(frozen=True)
class ServiceChoice:
    """Which service to use: the one at `address`, with its `token`; or, if that is empty, one started here by `program`
    (see `service_program.find_program`). `online` allows other machines."""

    address: str = ""
    token: str = ""
    program: str = ""
    online: bool = True


@dataclass(frozen=True)
class ServiceState:
    """`kind` is "off", "starting", "ready", "waiting" (before another attempt) or "failed"; for the last two `message`
    says why and what to do, and `code` is the error's code. The rest describes a ready service: `default` is its
    default model, `started_here` whether this Blender started it; `backends` arrive some seconds later."""

    kind: str = "off"
    message: str = ""
    code: str = ""
    version: str = ""
    models: tuple[Model, ...] = ()
    default: str | None = None
    backends: tuple[Backend, ...] = ()
    started_here: bool = False


class ServiceWatch:
    """Watches one service in a thread of its own. `on_change` is called in that thread after every change."""

    def __init__(
        self,
        *,
        choice: ServiceChoice,
        folder: Path,
        blender_id: str,
        name: str,
        on_scene_job: Callable[[Client, Job], None] | None,
        on_change: Callable[[], None],
    ) -> None:
        """Starts nothing yet. `folder` and `on_scene_job` are as in `Service`; id and name are this Blender's."""
        self.client: Client | None = None
        """None unless the service is ready."""
        self.failures = 0
        """How many attempts failed, or services were lost."""
        self._choice = choice
        self._folder = folder
        self._id = blender_id
        self._name = name
        self._on_scene_job = on_scene_job
        self._on_change = on_change
        self._state = ServiceState("starting")
        self._child: ServiceProcess | None = None
        self._released = threading.Event()
        self._lock = threading.Lock()  # of the name and the stream
        self._stream: RequestsForBlender | None = None
        self._reported_jobs: set[str] = set()

    @property
    def state(self) -> ServiceState:
        """The current state."""
        return replace(self._state, started_here=self._started_here())

    def run(self) -> None:
        """Watch until released, or until no further attempt makes sense; then `state` is "failed"."""
        try:
            self._run()
        finally:
            self._end()

    def _run(self) -> None:
        in_a_row = 0
        while not self._released.is_set():
            begin = time.monotonic()
            try:
                self._set_state(ServiceState("starting"))
                error = self._use(self._start_or_find())
            except ServiceError as refusal:
                error = UserError(_IN_BLENDER.get(refusal.code, refusal.message), refusal.code)
            except UserError as failure:
                error = failure
            if time.monotonic() - begin > STEADY_SECONDS and self.client is not None:
                in_a_row = 0
            self.client = None
            self.failures += 1
            remote = bool(self._choice.address)
            hopeless = error.code in _NOT_MENDED_BY_WAITING or (remote and error.code == FOREIGN)
            if hopeless or (in_a_row == len(PAUSES_SECONDS) and not remote):
                self._set_state(ServiceState("failed", error.message, error.code))
                return
            self._set_state(ServiceState("waiting", error.message, error.code))
            self._released.wait(PAUSES_SECONDS[min(in_a_row, len(PAUSES_SECONDS) - 1)])
            in_a_row += 1

    def announce(self, name: str) -> None:
        """Change this Blender's name."""
        with self._lock:
            if name != self._name:
                self._name = name
                if self._stream is not None:
                    self._stream.close()  # reopened with the new name

    def release(self) -> None:
        """Make `run` return; the service ends if it was started here and no other Blender uses it."""
        self._released.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def _start_or_find(self) -> Client:
        if self._choice.address:
            client = Client(self._choice.address, self._choice.token or None)
            if not (client.local or self._choice.online):
                raise UserError(
                    f"The engine at {client.url} is on another machine, and Blender may not go online: turn on 'Allow "
                    f"Online Access' in Blender's preferences (System), then retry.",
                    OFFLINE,
                )
            client.health()
            return client
        with suppress(ServiceError):
            return running(self._folder)
        self._child = ServiceProcess(find_program(self._choice.program), self._folder, roots())
        return self._child.ready(self._released.wait)

    def _use(self, client: Client) -> UserError:
        """Stay connected until the service ends or is released; returns the error to show."""
        version, known = client.health().version, client.models()
        self.client = client
        self._set_state(ServiceState("ready", version=version, models=known.models, default=known.default))
        threading.Thread(target=self._ask_for_backends, args=(client,), daemon=True).start()
        patience = _GONE_REMOTE_SECONDS if self._choice.address else _GONE_SECONDS
        gone = UserError(f"The OmniAudio engine at {client.url} has ended.", UNREACHABLE)
        try:
            while (stream := self._connected(client, patience)) is not None:
                for job in stream:
                    if self._on_scene_job is not None and job.id not in self._reported_jobs:
                        self._reported_jobs.add(job.id)
                        self._on_scene_job(client, job)
        except ServiceError as error:
            gone = UserError(error.message, error.code)
        if self._child is not None and self._child.exit_code is not None:
            code, log = self._child.exit_code, log_of(self._folder)
            gone = UserError(
                f"The OmniAudio engine ended by itself (exit code {code}); its log is {log}.", SERVICE_FAILED
            )
        return gone

    def _ask_for_backends(self, client: Client) -> None:
        """Asked in the background: the service tries each back-end, which takes seconds."""
        with suppress(ServiceError):
            backends = client.backends()
            known_backends.keep(self._folder, backends)
            if self.client is client and self._state.kind == "ready":
                self._set_state(replace(self._state, backends=backends))

    def _connected(self, client: Client, patience: float) -> RequestsForBlender | None:
        """Opens the stream of requests, which `announce` and `release` close; None after `release`."""
        with self._lock:
            if self._released.is_set():
                return None
            renders = self._on_scene_job is not None
            self._stream = client.requests_for_blender(self._name, patience, self._id, renders=renders)
            return self._stream

    def _started_here(self) -> bool:
        child = self._child
        return child is not None and child.exit_code is None

    def _end(self) -> None:
        """End the service if it was started here and nobody else uses it; otherwise it ends by itself later."""
        if self._child is not None:
            self._child.let_go(self._id)

    def _set_state(self, state: ServiceState) -> None:
        self._state = state
        self._on_change()
