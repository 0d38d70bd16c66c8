"""Real processes, real kill -9: no job is lost, none is done twice, and files are there whole or not at all."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import soundfile

from omniaudio_client.discovery import find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, PathSource
from support.jobs import ended, long, request, sampling, supervised, worker_processes
from trt_engine.service.errors import ErrorCode
from trt_engine.service.jobs.device import WorkerState
from trt_engine.service.jobs.job import JobState
from trt_engine.service.kinds.result import Result
from trt_engine.service.settings import ADDRESS, DATABASE
from trt_engine.service.worker.sealing import RESULT_FILE

pytestmark = pytest.mark.slow

PROCESS = Path(__file__).with_name("service_process.py")


@contextmanager
def service(folder: Path, source: Path, count: int, steps: int = 2) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, PROCESS, folder, source, str(count), str(steps)]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def rows(folder: Path) -> list[sqlite3.Row]:
    """All jobs as they lie in the database, by the order of their creation."""
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.row_factory = sqlite3.Row
        return database.execute("SELECT * FROM jobs ORDER BY place").fetchall()


def whole(folder: Path) -> set[str]:
    """The jobs with results; each of which is whole: the files of its record in their sizes, and sound in the sound."""
    ids = set()
    for results in (folder / "results").iterdir():
        result = Result.model_validate_json((results / RESULT_FILE).read_bytes())
        names = {RESULT_FILE}
        for take in result.takes:
            for file in (take.sound, take.sidecar):
                assert Path(file.path) == results / file.name
                assert (results / file.name).stat().st_size == file.size
                names.add(file.name)
            assert soundfile.read(take.sound.path)[0].shape == (take.samples, 4)
            assert json.loads(Path(take.sidecar.path).read_text())["options"]["seed"] == take.seed
        assert {path.name for path in results.iterdir()} == names
        ids.add(results.name)
    return ids


def gone(folder: Path, seconds: float) -> float:
    """Wait until no worker is left; how long that took."""
    began = time.monotonic()
    while worker_processes(folder):
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_killed_worker_costs_its_job_one_more_try(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path) as supervisor:
            job, _ = supervisor.submit(request(still, steps=150), {"source": still})
            await sampling(supervisor, job.id)
            (worker,) = worker_processes(tmp_path)
            worker.kill()
            done = await ended(supervisor, job.id)
            assert done.state is JobState.DONE
            assert worker_processes(tmp_path)[0].pid != worker.pid

    asyncio.run(run())
    (row,) = rows(tmp_path)
    assert (row["starts"], row["crashes"]) == (2, 1)
    assert whole(tmp_path) == {row["id"]}
    assert list((tmp_path / "attempts").iterdir()) == []


def test_a_job_that_kills_two_workers_fails_with_the_reason(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path) as supervisor:
            job, _ = supervisor.submit(long(still), {"source": still})
            following, _ = supervisor.submit(request(still), {"source": still})
            for number in (signal.SIGABRT, signal.SIGKILL):
                await sampling(supervisor, job.id)
                (worker,) = worker_processes(tmp_path)
                worker.send_signal(number)
                async with asyncio.timeout(10):
                    while (progress := supervisor.job(job.id).progress) and progress.stage == "sampling":
                        await asyncio.sleep(0.02)
            failed = await ended(supervisor, job.id)
            assert failed.state is JobState.FAILED
            assert failed.error is not None
            assert failed.error.code is ErrorCode.CRASHED
            assert "killed (SIGKILL)" in failed.error.message
            assert "too little memory" in failed.error.message
            assert (await ended(supervisor, following.id)).state is JobState.DONE

    asyncio.run(run())
    assert [row["starts"] for row in rows(tmp_path)] == [2, 1]


def test_an_idle_worker_that_was_killed_costs_no_job(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path) as supervisor:
            await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)
            (worker,) = worker_processes(tmp_path)
            worker.kill()
            async with asyncio.timeout(10):
                while supervisor.workers()[0].state is not WorkerState.STOPPED:
                    await asyncio.sleep(0.02)
            assert supervisor.workers()[0].loaded == ()
            await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)

    asyncio.run(run())
    assert [(row["state"], row["starts"]) for row in rows(tmp_path)] == [("done", 1)] * 2


@contextmanager
def serving(folder: Path, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`omniaudio serve`, listening."""
    (folder / ADDRESS).unlink(missing_ok=True)
    options = ("--folder", folder, "--port", "0", "--allow-root", root)
    command = [sys.executable, "-m", "omniaudio.cli", "serve", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not (folder / ADDRESS).exists():
                assert process.poll() is None
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def test_a_killed_service_loses_none_of_ten_jobs_and_does_none_twice(tmp_path: Path, still: Path) -> None:
    with serving(tmp_path, still.parent) as process:
        engine = find(tmp_path)
        for number in range(10):
            wanted = request(still, steps=10, seed=number, request_id=str(number)).model_dump(exclude_none=True)
            wanted["source"] = PathSource(**wanted["source"])
            wanted["options"] = GenerationOptions(**wanted["options"])
            engine.create(GenerateRequest(**wanted))
        while sum(row["state"] == "done" for row in rows(tmp_path)) < 3:
            assert process.poll() is None
            time.sleep(0.02)
        # In the middle of the fourth or so.
        time.sleep(0.2)
        process.kill()
        process.wait()
    print(f"its worker was gone after {gone(tmp_path, 10):.2f} s")
    before = {row["id"]: (row["ended"], row["starts"]) for row in rows(tmp_path) if row["state"] == "done"}
    assert 3 <= len(before) < 10
    files = {job: (tmp_path / "results" / job).stat() for job in before}
    with serving(tmp_path, still.parent) as process:
        engine = find(tmp_path)
        ids = [row["id"] for row in rows(tmp_path)]
        assert [engine.wait(job_id).state for job_id in ids] == ["done"] * 10
        process.terminate()
        assert process.wait(60) == 0
    after = rows(tmp_path)
    assert [row["id"] for row in after] == ids
    assert whole(tmp_path) == set(ids)
    for row in after:
        if row["id"] in before:
            assert (row["ended"], row["starts"]) == before[row["id"]], "what was done is left alone"
            now, was = (tmp_path / "results" / row["id"]).stat(), files[row["id"]]
            assert (now.st_ino, now.st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
    # Only the one that was running may have been begun twice.
    assert sorted(row["starts"] for row in after) in ([1] * 10, [1] * 9 + [2])
    assert list((tmp_path / "attempts").iterdir()) == []
    assert worker_processes(tmp_path) == []


def test_files_are_whole_or_not_there_whenever_the_service_is_killed(tmp_path: Path, still: Path) -> None:
    """Kills the service, or its worker, at random moments, again and again, until all jobs are done."""
    chance = random.Random(int(os.environ.get("SURVIVAL_SEED", "0")))
    kills = 0
    for _ in range(5):
        with service(tmp_path, still, 16) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.5, 3.0))
            kills += process.poll() is None
            process.kill()
            process.wait()
        whole(tmp_path)
        done = {row["id"] for row in rows(tmp_path) if row["state"] == "done"}
        assert done <= whole(tmp_path)
        assert sum(1 for _ in (tmp_path / "results").iterdir()) - len(done) in (0, 1)
    assert kills >= 1
    with service(tmp_path, still, 16) as process:
        process.wait(300)
    final = rows(tmp_path)
    assert whole(tmp_path) == {row["id"] for row in final if row["state"] == "done"}
    # Five starts are the most that a job gets.
    assert {row["state"] for row in final} <= {"done", "failed"}
    assert all(row["starts"] > 5 for row in final if row["state"] == "failed")
    gone(tmp_path, 10)


def test_a_job_is_started_five_times_at_most(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path) as supervisor:
            return await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)

    asyncio.run(run())
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("UPDATE jobs SET state = 'queued', ended = NULL, result = NULL, starts = 5")
    (results,) = (tmp_path / "results").iterdir()
    (results / RESULT_FILE).unlink()

    async def restart(job_id: str):
        async with supervised(tmp_path) as supervisor:
            return await ended(supervisor, job_id)

    job = asyncio.run(restart(results.name))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, "5 times" in job.error.message) == (ErrorCode.CRASHED, True)
    assert list((tmp_path / "results").iterdir()) == []
