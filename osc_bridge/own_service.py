"""The default service of the bridge: the user's own, started if none runs, and restarted if it has stopped."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from omniaudio_client.client import Client
from omniaudio_client.discovery import LINGER_SECONDS, ServiceProcess, running
from omniaudio_client.http import UNREACHABLE, ServiceError

COMMAND = (sys.executable, "-m", "omniaudio.cli")
PAUSE_SECONDS = 10.0
"""Between a failed start and the next attempt."""


class OwnService:
    """The service of a folder, kept running until `close`. Threads may share it."""

    def __init__(
        self, folder: Path, roots: Sequence[Path], say: Callable[[str], object], command: Sequence[str] = COMMAND
    ) -> None:
        """Starts nothing yet.

        Args:
            folder: the service's folder.
            roots: folders that a service started here may read clips in.
            say: called with a message after each start.
            command: the command line of `omniaudio`.
        """
        self._folder = folder
        self._roots = tuple(roots)
        self._say = say
        self._command = tuple(command)
        self._child: ServiceProcess | None = None
        self._starting = threading.Lock()
        self._failure: ServiceError | None = None
        self._next_start = 0.0
        self._closed = threading.Event()
        threading.Thread(target=self._need_it, name="osc-service", daemon=True).start()

    def client(self) -> Client:
        """Return the client of the service; start the service if none answers.

        Raises:
            ServiceError: UNREACHABLE, it does not start, has another version, or this was closed.
        """
        with suppress(ServiceError):
            return running(self._folder)
        with self._starting:
            with suppress(ServiceError):  # another thread has started it meanwhile
                return running(self._folder)
            if self._closed.is_set():
                raise ServiceError(
                    UNREACHABLE, "The bridge has ended, and its service with it: start the bridge again."
                )
            if self._failure is not None and time.monotonic() < self._next_start:
                raise self._failure
            try:
                self._child = ServiceProcess(self._command, self._folder, self._roots)
                client = self._child.ready(self._closed.wait)
            except ServiceError as error:
                # Whatever the reason: requests wait until a later start succeeds.
                self._failure = ServiceError(UNREACHABLE, error.message)
                self._next_start = time.monotonic() + PAUSE_SECONDS
                raise self._failure from error
            if self._child.exit_code is None:  # else another program was faster
                self._say(f"No service was running: started one at {client.url}, which ends with this bridge.")
            return client

    def close(self) -> None:
        """End a service that was started here. If another program needs it, it ends later by itself."""
        self._closed.set()
        with self._starting:
            if self._child is not None:
                self._child.let_go()

    def _need_it(self) -> None:
        """Ping the service now and then, so that it does not exit and lose the models it has loaded."""
        while not self._closed.wait(LINGER_SECONDS / 3):
            with suppress(ServiceError):
                running(self._folder)
