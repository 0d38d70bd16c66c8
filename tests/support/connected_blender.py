"""A program that is connected to a service as Blender is, and waits for jobs to render."""

import queue
import threading
import time

from omniaudio_client.client import Client
from omniaudio_client.records import Job

SECONDS = 60.0


class ConnectedBlender:
    """Connected while it is used as a context manager."""

    def __init__(self, client: Client, name: str = "hafen.blend", blender: str | None = None) -> None:
        self.client = client
        self._name = name
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._requests = client.requests_for_blender(name, blender=blender)
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> "ConnectedBlender":
        self._thread.start()
        deadline = time.monotonic() + SECONDS
        while all(one.name != self._name for one in self.client.blenders()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Disconnect."""
        self._requests.close()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether no further job has arrived."""
        return self._jobs.empty()

    def asked(self) -> Job:
        """Wait for the next job to render."""
        return self._jobs.get(timeout=SECONDS)

    def _follow(self) -> None:
        for job in self._requests:
            self._jobs.put(job)
