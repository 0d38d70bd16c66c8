"""`omniaudio serve` as a process of its own, which can be killed and restarted."""

import json
import subprocess
import sys
import time
from pathlib import Path

from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from trt_engine.service.settings import ADDRESS

SECONDS_TO_START = 60.0


class RunningService:
    """A service of a folder, which may read clips under `root`; it keeps its port when it restarts."""

    def __init__(self, folder: Path, root: Path, *more: str) -> None:
        """`more` are further options of `omniaudio serve`."""
        self.folder, self.root, self.more = folder, root, more
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Client:
        """Start it, and return its client once it answers."""
        command: list[str | Path] = [sys.executable, "-m", "omniaudio.cli", "serve"]
        command += ["--folder", self.folder, "--allow-root", self.root]
        with (self.folder.parent / "serve.log").open("ab") as log:
            self._process = subprocess.Popen([*command, "--port", str(self._port), *self.more], stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS_TO_START
        while self._address().get("pid") != self._process.pid:
            assert self._process.poll() is None, (self.folder.parent / "serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client = find(self.folder)
        self._port = client.port
        return client

    def kill(self) -> None:
        """As kill -9 does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As Ctrl-C does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def _address(self) -> dict[str, object]:
        try:
            address: dict[str, object] = json.loads((self.folder / ADDRESS).read_bytes())
        except FileNotFoundError:
            return {}
        return address
