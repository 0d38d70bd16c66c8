"""The files of jobs: each is made in `attempts/<random>/`, sealed there, and renamed to `results/<job id>/`."""

import asyncio
import os
import shutil
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from trt_engine.service.models import Result
from trt_engine.service.settings import ATTEMPTS, RESULTS

RESULT_FILE = ".result.json"
"""Written last into a job's folder, so that where it lies the folder is whole. No file of a take begins with a dot."""


class Folders:
    """The two folders inside a service's folder; both are as deep, so that a sidecar's path to the clip stays true."""

    def __init__(self, folder: Path) -> None:
        """Make them where they are missing. Raises OSError."""
        self._attempts, self._results = folder / ATTEMPTS, folder / RESULTS
        for path in (self._attempts, self._results):
            path.mkdir(exist_ok=True)

    def attempt(self) -> Path:
        """A new, empty folder to make a job's files in. Raises OSError."""
        folder = self._attempts / uuid4().hex
        folder.mkdir()
        return folder

    def results(self, job_id: str) -> Path:
        """Where a job's files lie once they are whole."""
        return self._results / job_id

    def publish(self, attempt: Path, job_id: str) -> None:
        """Make a sealed attempt the job's result, at once and, when this returns, for good. Raises OSError."""
        attempt.rename(self.results(job_id))
        flush(self._results)

    def result(self, job_id: str) -> Result | None:
        """What lies in a job's folder; None where it is missing, or was written by another version. Raises OSError."""
        try:
            return Result.model_validate_json((self.results(job_id) / RESULT_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def discard(self, job_id: str) -> None:
        """A job's folder, if it is there, vanishes at once, and is then deleted in a thread of the running loop's: that
        may take a while. Raises OSError."""
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
    """Delete what can be deleted of a folder."""
    shutil.rmtree(folder, ignore_errors=True)


def seal(attempt: Path, result: Result) -> None:
    """Write down that an attempt is whole, when everything else in it is on the disk. Raises OSError."""
    for file in attempt.iterdir():
        flush(file)
    unsealed = attempt / f"{RESULT_FILE}.part"
    unsealed.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    flush(unsealed)
    unsealed.replace(attempt / RESULT_FILE)
    flush(attempt)


def flush(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to the disk. Windows keeps folders by itself."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
