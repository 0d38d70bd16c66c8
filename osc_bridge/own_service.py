"""The service that the bridge speaks to where it is told of none: the user's own, found, started, started again."""

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
"""After a start that failed, before the next one."""


class OwnService:
    """A service on a folder, as long as this is not closed. Threads may share it."""

    def __init__(
        self, folder: Path, roots: Sequence[Path], say: Callable[[str], object], command: Sequence[str] = COMMAND
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: the service's own.
            roots: the folders that one which is started here may read clips in.
            say: told in a message of each that is started.
            command: the words that start the command `omniaudio`.
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
        """The service, which is started where none answers.

        Raises:
            ServiceError: UNREACHABLE, it does not start, is of another version, or this was closed.
        """
        with suppress(ServiceError):
            return running(self._folder)
        with self._starting:
            with suppress(ServiceError):  # another thread has started it meanwhile
                return running(self._folder)
            if self._closed.is_set():
                raise ServiceError(UNREACHABLE, "The bridge ends, and its service with it: start it again.")
            if self._failure is not None and time.monotonic() < self._next_start:
                raise self._failure
            try:
                self._child = ServiceProcess(self._command, self._folder, self._roots)
                client = self._child.ready(self._closed.wait)
            except ServiceError as error:
                # Whatever the reason: what was asked for waits until a later start succeeds.
                self._failure = ServiceError(UNREACHABLE, error.message)
                self._next_start = time.monotonic() + PAUSE_SECONDS
                raise self._failure from error
            if self._child.exit_code is None:  # else another program's was faster
                self._say(f"No service was running: one was started at {client.url}, and ends with this bridge.")
            return client

    def close(self) -> None:
        """Have the service end where it was started here, unless somebody needs it: it then ends by itself in time."""
        self._closed.set()
        with self._starting:
            if self._child is not None:
                self._child.let_go()

    def _need_it(self) -> None:
        """Ask for the service now and then, so that it does not end by itself and lose the models it has loaded."""
        while not self._closed.wait(LINGER_SECONDS / 3):
            with suppress(ServiceError):
                running(self._folder)
