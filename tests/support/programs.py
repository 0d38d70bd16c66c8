"""Programs of others as processes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def needs(program: str) -> pytest.MarkDecorator:
    """Skips a test if a program is missing."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is missing")


@contextmanager
def started(command: Sequence[str | Path], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose output goes to a file."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True, **more
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(log: Path, text: str, seconds: float = 60.0) -> str:
    """Wait for a line of a log that contains a text, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in log.read_text("utf-8", "replace").splitlines():
            if text in line:
                return line
        time.sleep(0.1)
    raise AssertionError(f"no “{text}” in: {log.read_text('utf-8', 'replace')}")
