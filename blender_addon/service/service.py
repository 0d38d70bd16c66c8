"""The one engine of this Blender: started or found in the background, watched, and started again. Knows no bpy.

The service's folder and its lock say who runs, so that however many Blenders start one at once, one engine is there,
and a Blender that comes back after a crash finds the one that it had.
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
"""`stop` returns after so long, whatever the engine does: a bit more than it is given to end orderly."""
_CANCEL_SECONDS = 3.0
_MAX_NAME = 255


class Service:
    """The engine that this Blender uses. Threads may share it; no method but `client` and `stop` waits."""

    def __init__(self, folder: Path, on_scene_job: Callable[[Client, Job], None] | None = None) -> None:
        """Nothing is started yet.

        Args:
            folder: of an engine that is started here: its jobs, its token and its logs.
            on_scene_job: told, in a thread of the engine's, of each job for which this Blender is to render its scene;
                where it is None there are none.
        """
        self._folder = folder
        self._on_scene_job = on_scene_job
        self._id = uuid4().hex
        self._name = "untitled"
        self._choice = ServiceChoice()
        self._changed = threading.Condition()
        self._watch: ServiceWatch | None = None
        self._thread: threading.Thread | None = None
        self._alone = threading.Lock()  # held by the watch over an engine here: the next one needs its folder
        self._users: dict[object, Callable[[], None]] = {}

    @property
    def state(self) -> ServiceState:
        """As it is now."""
        watch = self._watch
        return ServiceState() if watch is None else watch.state

    @property
    def log(self) -> Path:
        """What an engine that was started here says of its troubles; it may not be there yet."""
        return log_of(self._folder)

    def configure(self, choice: ServiceChoice) -> None:
        """Use this engine from now on. Another one is let go of, as by `stop`; the new one is looked for once it is
        needed."""
        with self._changed:
            if choice != self._choice:
                self._choice = choice
                self._let_go()

    def announce(self, name: str) -> None:
        """What is open in this Blender, like `forest.blend`, for who asks the engine for the sound of its scene."""
        with self._changed:
            self._name = name[:_MAX_NAME] or "untitled"
            if self._watch is not None:
                self._watch.announce(self._name)

    def wake(self) -> None:
        """Start or find it in the background, where that is not done. After a failure this is a new attempt."""
        with self._changed:
            self._woken()

    def client(self) -> Client:
        """The engine's client, when it answers; not to be called where waiting is not allowed.

        Raises:
            UserError: the next attempt to reach it fails, with the code of `state`; or it is let go of meanwhile.
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
        raise UserError("The engine was changed or stopped meanwhile; try again.", "cancelled")

    @contextmanager
    def using(self, cancel: Callable[[], None]) -> Iterator[None]:
        """While this lasts, the engine has work for somebody, whom `stop` tells to cancel it, and waits for."""
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
        """Let go of it, with all that it does for this Blender; it ends if this Blender has started it and nobody else
        needs it. Returns within `STOP_SECONDS`."""
        deadline = time.monotonic() + STOP_SECONDS
        with self._changed:
            for cancel in self._users.values():
                cancel()
            self._changed.wait_for(lambda: not self._users, _CANCEL_SECONDS)
            self._let_go()
            thread = self._thread
        if thread is not None and not self._choice.address:  # of one elsewhere there is nothing to be ended
            thread.join(max(0.0, deadline - time.monotonic()))

    def _woken(self) -> ServiceWatch:
        """The watch over the engine, which runs; called with the lock."""
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
            self._thread = threading.Thread(target=run, name="omniaudio engine", daemon=True)
            self._thread.start()
        return self._watch

    def _run_alone(self, watch: ServiceWatch) -> None:
        with self._alone:
            watch.run()

    def _let_go(self) -> None:
        """Called with the lock."""
        if self._watch is not None:
            self._watch.release()
            self._watch = None
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
