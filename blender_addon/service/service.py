"""This Blender's service: found or started in the background, watched, and restarted. Does not import bpy.

The lock in the service's folder ensures that there is one service however many Blenders start one, and that a Blender
finds its service again after a crash.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from omniaudio_client.client import Client
from omniaudio_client.discovery import log_of
from omniaudio_client.records import Job

from ..core.errors import UserError
from .service_watch import ServiceChoice, ServiceState, ServiceWatch

STOP_SECONDS = 12.0
"""Time limit of `stop`: a little more than the service gets to shut down cleanly."""
_CANCEL_SECONDS = 3.0
_MAX_NAME = 255


class Service:
    """The service that this Blender uses. Thread-safe; only `client` and `stop` block."""

    def __init__(self, folder: Path, on_scene_job: Callable[[Client, Job], None] | None = None) -> None:
        """Starts nothing yet.

        Args:
            folder: for a service that is started here: jobs, token and logs.
            on_scene_job: called in a background thread with each job for which this Blender has to render its scene;
                with None the service gets no such jobs."""
        self._folder = folder
        self._on_scene_job = on_scene_job
        self._id = uuid4().hex
        self._name = "untitled"
        self._choice = ServiceChoice()
        self._changed = threading.Condition()
        self._watch: ServiceWatch | None = None
        self._thread: threading.Thread | None = None
        self._alone = threading.Lock()  # held while a local service is watched: the next one needs its folder
        self._users: dict[object, Callable[[], None]] = {}

    @property
    def state(self) -> ServiceState:
        """The current state."""
        watch = self._watch
        return ServiceState() if watch is None else watch.state

    @property
    def log(self) -> Path:
        """The log of a service that was started here; may not exist yet."""
        return log_of(self._folder)

    def configure(self, choice: ServiceChoice) -> None:
        """Use this service from now on. Releases a different one; connects to the new one when it is needed."""
        with self._changed:
            if choice != self._choice:
                self._choice = choice
                self._let_go()

    def announce(self, name: str) -> None:
        """Set the name shown to clients that request sound of the scene, such as `forest.blend`."""
        with self._changed:
            self._name = name[:_MAX_NAME] or "untitled"
            if self._watch is not None:
                self._watch.announce(self._name)

    def wake(self) -> None:
        """Find or start the service in the background, unless that is under way. Retries after a failure."""
        with self._changed:
            self._woken()

    def client(self) -> Client:
        """The service's client. Blocks until it answers.

        Raises:
            UserError: the next attempt to reach the service fails (with the code of `state`), or it was released.
        """
        with self._changed:
            watch = self._woken()
            failures = watch.failures
            while self._watch is watch:
                if (client := watch.client) is not None:
                    return client
                if watch.failures > failures:
                    raise UserError(watch.state.message, watch.state.code)
                self._changed.wait()
        raise UserError("The engine was changed or stopped meanwhile; retry.", "cancelled")

    @contextmanager
    def using(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Register a user of the service: `stop` calls `cancel` and waits for the block to end."""
        user = object()
        with self._changed:
            self._users[user] = cancel
        try:
            yield
        finally:
            with self._changed:
                del self._users[user]
                self._changed.notify_all()

    def stop(self) -> None:
        """Cancel this Blender's jobs and release the service; it ends if this Blender started it and nobody else uses
        it. Returns within `STOP_SECONDS`."""
        deadline = time.monotonic() + STOP_SECONDS
        with self._changed:
            for cancel in self._users.values():
                cancel()
            self._changed.wait_for(lambda: not self._users, _CANCEL_SECONDS)
            self._let_go()
            thread = self._thread
        if thread is not None and not self._choice.address:  # a remote service is not ended
            thread.join(max(0.0, deadline - time.monotonic()))

    def _woken(self) -> ServiceWatch:
        """The running watch; called with the lock held."""
        if self._watch is None or self._watch.state.kind == "failed":
            watch = ServiceWatch(
                choice=self._choice,
                folder=self._folder,
                blender_id=self._id,
                name=self._name,
                on_scene_job=self._on_scene_job,
                on_change=self._notify,
            )
            self._watch = watch
            run = watch.run if self._choice.address else partial(self._run_alone, watch)
            self._thread = threading.Thread(target=run, name="omniaudio service", daemon=True)
            self._thread.start()
        return self._watch

    def _run_alone(self, watch: ServiceWatch) -> None:
        with self._alone:
            watch.run()

    def _let_go(self) -> None:
        """Called with the lock held."""
        if self._watch is not None:
            self._watch.release()
            self._watch = None
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
