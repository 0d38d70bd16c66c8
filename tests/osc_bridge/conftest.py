"""A real service, and bridges to it as processes of their own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from omniaudio_client.discovery import find
from support.daw import SECONDS, Daw, free_port
from support.panoramas import write_panorama
from support.running_service import RunningService


class RunningBridge:
    """`omniaudio osc` as a process, at one port, with one ledger."""

    def __init__(self, service: RunningService, folder: Path, *more: str) -> None:
        self.port = free_port()
        url = find(service.folder).url
        self._log = folder / "bridge.log"
        self._command = [sys.executable, "-m", "omniaudio.cli", "osc", "--port", str(self.port), "--service", url]
        self._command += ["--token-file", str(service.folder / "token"), "--ledger", str(folder / "osc.sqlite3")]
        self.scenes = folder / "scenes"
        self._command += ["--scenes", str(self.scenes), *more]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daw:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        daw = Daw(self.port)
        deadline = time.monotonic() + SECONDS
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            daw.send("ping")
            try:
                daw.hear("pong", seconds=0.2)
                return daw
            except (TimeoutError, ConnectionError):
                continue

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(20) == 0
        assert "Traceback" not in self.log, self.log


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still panorama, in a folder that bridges may use."""
    return write_panorama(tmp_path_factory.mktemp("clips") / "hafen ä.png")


@pytest.fixture(scope="session")
def video(clip: Path) -> Path:
    """The panorama for half a second as a video; in Pure Data a space would end its name."""
    path = clip.parent / "harbour.mp4"
    frame = np.asarray(Image.open(clip))
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frame.shape[:2]
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """`omniaudio serve`, which may read what lies under pytest's folder."""
    running = RunningService(tmp_path_factory.mktemp("osc") / "service", tmp_path_factory.getbasetemp())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def new_bridge(service: RunningService, clip: Path, tmp_path: Path) -> Iterator[Callable[..., RunningBridge]]:
    """Makes bridges that end with the test; their logs must have no traceback."""
    made: list[RunningBridge] = []

    def new(*more: str) -> RunningBridge:
        made.append(RunningBridge(service, tmp_path, "--allow-root", str(clip.parent), *more))
        return made[-1]

    yield new
    for bridge in made:
        bridge.stop()


@pytest.fixture(scope="module")
def bridge(service: RunningService, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """One bridge for a module's tests."""
    running = RunningBridge(service, tmp_path_factory.mktemp("bridge"), "--allow-root", str(clip.parent))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def daw(bridge: RunningBridge) -> Iterator[Daw]:
    """A client of the module's bridge."""
    client = Daw(bridge.port)
    yield client
    client.socket.close()
