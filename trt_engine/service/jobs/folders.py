"""The files of jobs: each is made in `attempts/<random>/`, sealed there, and renamed to `results/<job id>/`."""

import asyncio
import shutil
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from trt_engine.service.kinds.registry import AnyResult
from trt_engine.service.settings import ATTEMPTS, RESULTS
from trt_engine.service.worker.sealing import RESULT_FILE, flush

_RESULTS: TypeAdapter[AnyResult] = TypeAdapter(AnyResult)


class Folders:
    """The two folders inside a service's folder, at the same depth, so that a sidecar's relative path stays valid."""

    def __init__(self, folder: Path) -> None:
        """Create them if they are missing. Raises OSError."""
        self._attempts, self._results = folder / ATTEMPTS, folder / RESULTS
        for path in (self._attempts, self._results):
            path.mkdir(exist_ok=True)

    def attempt(self) -> Path:
        """Create an empty folder for the files of a job. Raises OSError."""
        folder = self._attempts / uuid4().hex
        folder.mkdir()
        return folder

    def results(self, job_id: str) -> Path:
        """The folder of a job's finished files."""
        return self._results / job_id

    def publish(self, attempt: Path, job_id: str) -> None:
        """Make a sealed attempt the job's result: atomically, and durably once this returns. Raises OSError."""
        attempt.rename(self.results(job_id))
        flush(self._results)

    def result(self, job_id: str) -> AnyResult | None:
        """The result in a job's folder; None if it is missing, or was written by another version. Raises OSError."""
        try:
            return _RESULTS.validate_json((self.results(job_id) / RESULT_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def discard(self, job_id: str) -> None:
        """Remove a job's folder, if there is one: it is renamed at once, and deleted in a thread, which may take a
        while.
        Raises OSError."""
        leftover = self._attempts / uuid4().hex
        try:
            self.results(job_id).rename(leftover)
        except FileNotFoundError:
            return
        asyncio.get_running_loop().run_in_executor(None, delete, leftover)

    def sweep(self) -> None:
        """Delete all attempts."""
        for leftover in self._attempts.iterdir():
            delete(leftover)


def delete(folder: Path) -> None:
    """Delete a folder as far as possible."""
    shutil.rmtree(folder, ignore_errors=True)
