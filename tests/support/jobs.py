"""Quick jobs, and a supervisor around a test."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import psutil
import pytest

from omniaudio_client.options import GenerationOptions
from trt_engine.service.jobs.job import Job, JobState
from trt_engine.service.jobs.supervisor import Supervisor
from trt_engine.service.kinds.generate import GenerateRequest
from trt_engine.service.kinds.request import PathSource
from trt_engine.service.settings import Settings


def request(source: Path, **given: Any) -> GenerateRequest:
    """Half a second of sound in two steps, without map and preview."""
    quick: dict[str, Any] = {"model": "draft", "steps": 2, "preview": False, "map": False}
    names = {field.name for field in fields(GenerationOptions)}
    options = quick | {name: value for name, value in given.items() if name in names}
    others = {"duration": 0.5} | {name: value for name, value in given.items() if name not in names}
    return GenerateRequest(source=PathSource(path=str(source)), options=GenerationOptions(**options), **others)


def long(source: Path, **given: Any) -> GenerateRequest:
    """Half a minute of sampling, unless it is cancelled."""
    return request(source, **{"steps": 1000, **given})


@asynccontextmanager
async def supervised(folder: Path, **settings: Any) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(Settings(folder=folder, **settings))
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


async def ended(supervisor: Supervisor, job_id: str, seconds: float = 120) -> Job:
    async with asyncio.timeout(seconds):
        async for job in supervisor.changes(job_id):
            last = job
    assert last.state.ended
    return last


async def sampling(supervisor: Supervisor, job_id: str) -> Job:
    """The job once it is sampling."""
    async with asyncio.timeout(120):
        async for job in supervisor.changes(job_id):
            if job.progress is not None and job.progress.stage == "sampling":
                return job
            assert job.state in (JobState.QUEUED, JobState.RUNNING), job
    raise AssertionError("it has ended")


def worker_processes(folder: Path) -> list[psutil.Process]:
    """The running workers of a service's folder, whoever started them."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "trt_engine.service.worker" in line and line[-1].startswith(str(folder)):
            found.append(process)
    return found


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own of a given size; skips the test if this process may not mount one."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount a file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(folder: Path) -> Path:
    """Fill the disk; returns the file that does."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler
