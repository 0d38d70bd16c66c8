"""The supervisor with real workers: what its callers meet."""

import asyncio
import json
import os
import shutil
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omniaudio import cli
from omniaudio.errors import UserError
from omniaudio.model_zoo import registry
from support.jobs import ended, fill, long, request, sampling, small_disk, supervised, worker_processes
from trt_engine.service.errors import ErrorCode, ServiceError
from trt_engine.service.jobs import folders
from trt_engine.service.jobs.device import WorkerState
from trt_engine.service.jobs.folders import Folders
from trt_engine.service.jobs.job import JobState
from trt_engine.service.jobs.store import Store
from trt_engine.service.jobs.supervisor import Supervisor
from trt_engine.service.settings import Settings


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_as_the_command(
    tmp_path: Path, still: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, own = tmp_path / "service", tmp_path / "own"
    own.mkdir()

    async def through_the_service():
        async with supervised(folder) as supervisor:
            wanted = request(still, seed=11, takes=2, preview=True, map=True, rate=48000, backend="onnxruntime")
            job, _ = supervisor.submit(wanted, {"source": still})
            return await ended(supervisor, job.id)

    job = asyncio.run(through_the_service())
    assert job.state is JobState.DONE, job
    assert job.progress is None
    assert job.result is not None
    options = "--model draft --duration 0.5 --steps 2 --seed 11 --takes 2 --rate 48000 --backend onnxruntime"
    output = str(own / "out.wav")
    monkeypatch.setattr(sys, "argv", ["omniaudio", "generate", str(still), "-o", output, *options.split()])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    for take, name in zip(job.result.takes, ("out", "out.take2"), strict=True):
        assert take.preview is not None
        assert take.map is not None
        assert Path(take.sound.path).read_bytes() == (own / f"{name}.wav").read_bytes()
        assert Path(take.preview.path).read_bytes() == (own / f"{name}.preview.wav").read_bytes()
        assert Path(take.map.path).read_bytes() == (own / f"{name}.map.png").read_bytes()
        sidecar = Path(take.sidecar.path)
        named = json.loads(sidecar.read_text())["input"]
        assert Path(os.path.normpath(sidecar.parent / named)) == still, "the path in it is true where it lies now"


def test_a_queue_with_all_that_goes_wrong(tmp_path: Path, still: Path) -> None:
    text, gone = tmp_path / "text.mp4", tmp_path / "gone.png"
    text.write_text("not a video at all\n" * 100)
    shutil.copy(still, gone)

    async def run():
        async with supervised(tmp_path / "service", max_seconds=10) as supervisor:
            wanted = [
                (request(still), still, None),
                (request(gone), gone, ErrorCode.SOURCE),
                (request(text), text, ErrorCode.SOURCE),
                (request(still, duration=11), still, ErrorCode.INVALID),
                (request(still, model="nonsense"), still, ErrorCode.NO_MODEL),
                (request(still, backend="nonsense"), still, ErrorCode.NO_BACKEND),
                (request(still, request_id="last"), still, None),
            ]
            jobs = [supervisor.submit(job, {"source": source})[0] for job, source, _ in wanted]
            assert [job.progress.stage for job in jobs if job.progress] == ["waiting"] * len(jobs)
            gone.unlink()
            for job, (_, _, code) in zip(jobs, wanted, strict=True):
                last = await ended(supervisor, job.id)
                assert last.state is (JobState.DONE if code is None else JobState.FAILED), last
                assert (last.error and last.error.code) == code
            repeated, new = supervisor.submit(wanted[-1][0], {"source": still})
            assert (repeated, new) == (last, False)
            assert [job.id for job in supervisor.jobs(None, 100)] == [job.id for job in reversed(jobs)]
            assert len(supervisor.jobs(JobState.FAILED, 100)) == 5
            worker, sound = supervisor.workers()
            assert (sound.device, sound.state) == ("sound", WorkerState.STOPPED)
            assert (worker.device, worker.state, worker.loaded) == ("cpu", WorkerState.IDLE, ("draft",))
        names = sorted(path.name for path in (tmp_path / "service" / "results").iterdir())
        assert names == sorted([jobs[0].id, jobs[-1].id])
        assert list((tmp_path / "service" / "attempts").iterdir()) == []

    asyncio.run(run())


def test_cancelling(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path) as supervisor:
            running, _ = supervisor.submit(long(still), {"source": still})
            waiting, _ = supervisor.submit(request(still), {"source": still})
            after, _ = supervisor.submit(request(still), {"source": still})
            with pytest.raises(ServiceError, match="cancel it first") as met:
                supervisor.remove(running.id)
            assert met.value.code is ErrorCode.CONFLICT
            await sampling(supervisor, running.id)
            assert supervisor.workers()[0].state is WorkerState.BUSY
            assert supervisor.cancel(waiting.id).state is JobState.CANCELLED
            began = time.monotonic()
            assert supervisor.cancel(running.id).state is JobState.CANCELLED
            async for job in supervisor.changes(after.id):
                if job.state is JobState.RUNNING:
                    break
            latency = time.monotonic() - began
            print(f"the next job began {latency * 1000:.0f} ms after")
            assert latency < 3
            assert (await ended(supervisor, after.id)).state is JobState.DONE
            for job_id in (running.id, waiting.id):
                job = supervisor.cancel(job_id)
                assert (job.state, job.result) == (JobState.CANCELLED, None)
            assert (await ended(supervisor, after.id)).state is JobState.DONE
            assert supervisor.cancel(after.id).state is JobState.DONE, "what has ended stays"
            assert len(worker_processes(tmp_path)) == 1, "it was not restarted"
            supervisor.remove(after.id)
            for call in (supervisor.job, supervisor.cancel, supervisor.remove, supervisor.changes):
                with pytest.raises(ServiceError, match="There is no job"):
                    call(after.id)
        assert list((tmp_path / "results").iterdir()) == []

    asyncio.run(run())


@pytest.mark.slow
def test_who_does_not_read_misses_and_delays_nothing(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path) as supervisor:
            job, _ = supervisor.submit(request(still, steps=100), {"source": still})
            slow = supervisor.changes(job.id)
            assert (await anext(slow)).state is JobState.QUEUED
            seen = [job async for job in supervisor.changes(job.id)]
            fractions = [job.progress.fraction for job in seen if job.progress]
            assert len(fractions) > 20
            assert seen[-1].state is JobState.DONE
            assert [job.state async for job in slow] == [JobState.DONE]

    asyncio.run(run())


@pytest.mark.slow
def test_idle_workers_end_by_a_call_and_by_themselves(tmp_path: Path, still: Path) -> None:
    async def run():
        async with supervised(tmp_path, idle_seconds=1.0) as supervisor:
            await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)
            assert len(worker_processes(tmp_path)) == 1
            await supervisor.unload()
            assert worker_processes(tmp_path) == []
            assert supervisor.workers()[0].state is WorkerState.STOPPED
            running, _ = supervisor.submit(long(still), {"source": still})
            await sampling(supervisor, running.id)
            await supervisor.unload()
            assert len(worker_processes(tmp_path)) == 1, "one that works is left alone"
            supervisor.cancel(running.id)
            async with asyncio.timeout(10):
                while supervisor.workers()[0].state is not WorkerState.STOPPED:
                    await asyncio.sleep(0.1)
            assert worker_processes(tmp_path) == []

    asyncio.run(run())


@pytest.mark.slow
def test_stopping_requeues_the_running_job_and_leaves_no_child(tmp_path: Path, still: Path) -> None:
    async def first():
        async with supervised(tmp_path) as supervisor:
            job, _ = supervisor.submit(request(still, steps=60), {"source": still})
            reader = supervisor.changes(job.id)
            await anext(reader)
            await sampling(supervisor, job.id)
        assert worker_processes(tmp_path) == []
        async with asyncio.timeout(1):
            assert [job.state async for job in reader] == [], "who follows a job is let go"
        assert list((tmp_path / "attempts").iterdir()) == []
        return job.id

    async def second(job_id: str):
        async with supervised(tmp_path) as supervisor:
            assert supervisor.job(job_id).state in (JobState.QUEUED, JobState.RUNNING)
            return await ended(supervisor, job_id)

    job_id = asyncio.run(first())
    assert asyncio.run(second(job_id)).state is JobState.DONE


@pytest.mark.slow
def test_a_failed_back_end_costs_its_worker_and_not_the_next_job(
    tmp_path: Path, still: Path, model: registry.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model.folder, tmp_path / "models" / "damaged")
    graph = tmp_path / "models" / "damaged" / "decoder.onnx"
    graph.write_bytes(bytes(graph.stat().st_size))
    monkeypatch.setenv("OMNIAUDIO_MODELS", str(tmp_path / "models"))
    folder = tmp_path / "service"

    async def run():
        async with supervised(folder) as supervisor:
            damaged, _ = supervisor.submit(request(still, model="damaged", backend="onnxruntime"), {"source": still})
            good, _ = supervisor.submit(request(still), {"source": still})
            await sampling(supervisor, damaged.id)
            (before,) = worker_processes(folder)
            failed = await ended(supervisor, damaged.id)
            assert failed.state is JobState.FAILED
            assert failed.error is not None
            assert failed.error.code is ErrorCode.INTERNAL
            assert (await ended(supervisor, good.id)).state is JobState.DONE
            (after,) = worker_processes(folder)
            assert after.pid != before.pid
            assert supervisor.workers()[0].loaded == ("draft",)

    asyncio.run(run())
    assert "Traceback" in (folder / "workers" / "cpu.log").read_text()


@pytest.mark.slow
def test_a_full_disk_is_a_failed_job_and_the_next_one_runs(tmp_path: Path, still: Path) -> None:
    async def run(disk: Path):
        async with supervised(disk / "service") as supervisor:
            job, _ = supervisor.submit(request(still, steps=200), {"source": still})
            await sampling(supervisor, job.id)
            filler = fill(disk)
            async with asyncio.timeout(60):
                while list((disk / "service" / "attempts").iterdir()):
                    await asyncio.sleep(0.1)
            # The failure itself is written down once there is room for it.
            await asyncio.sleep(1)
            os.truncate(filler, filler.stat().st_size - (1 << 17))
            failed = await ended(supervisor, job.id)
            assert failed.state is JobState.FAILED, failed
            assert failed.error is not None
            assert failed.error.code is ErrorCode.NO_ROOM
            filler.unlink()
            repeated, _ = supervisor.submit(request(still), {"source": still})
            assert (await ended(supervisor, repeated.id)).state is JobState.DONE

    with small_disk(tmp_path / "disk", "4m") as disk:
        asyncio.run(run(disk))


@pytest.mark.slow
def test_what_is_too_old_is_removed(tmp_path: Path, still: Path) -> None:
    async def make():
        async with supervised(tmp_path) as supervisor:
            return await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)

    async def look(days: float) -> list[str]:
        async with supervised(tmp_path, keep_days=days) as supervisor:
            await asyncio.sleep(0.1)
            return [job.id for job in supervisor.jobs(None, 10)]

    job = asyncio.run(make())
    assert job.ended is not None
    age = (datetime.now(UTC) - job.ended) / timedelta(days=1)
    assert asyncio.run(look(age + 1)) == [job.id]
    assert (tmp_path / "results" / job.id).is_dir()
    assert asyncio.run(look(age)) == []
    assert list((tmp_path / "results").iterdir()) == []


def test_files_that_cannot_be_deleted_are_a_message(tmp_path: Path, still: Path) -> None:
    async def run():
        supervisor = Supervisor(Settings(folder=tmp_path))
        job, _ = supervisor.submit(request(still), {"source": still})
        supervisor.cancel(job.id)
        (tmp_path / "results" / job.id).mkdir()
        (tmp_path / "attempts").rmdir()
        (tmp_path / "attempts").touch()
        with pytest.raises(ServiceError, match="cannot delete the files") as met:
            supervisor.remove(job.id)
        assert met.value.code is ErrorCode.NO_ROOM
        assert supervisor.job(job.id).state is JobState.CANCELLED, "it is not forgotten while its files are there"
        (tmp_path / "attempts").unlink()
        (tmp_path / "attempts").mkdir()
        supervisor.remove(job.id)
        assert list((tmp_path / "results").iterdir()) == []
        await supervisor.stop()

    asyncio.run(run())


def test_a_large_result_is_deleted_beside_the_loop(
    tmp_path: Path, still: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def delete(folder: Path) -> None:
        threads.append(threading.current_thread())
        shutil.rmtree(folder)

    monkeypatch.setattr(folders, "delete", delete)

    async def run() -> None:
        async with supervised(tmp_path) as supervisor:
            job, _ = supervisor.submit(request(still), {"source": still})
            supervisor.cancel(job.id)
            (tmp_path / "results" / job.id).mkdir()
            supervisor.remove(job.id)
            assert list((tmp_path / "results").iterdir()) == [], "it is gone at once"

    asyncio.run(run())
    assert threads
    assert threading.main_thread() not in threads
    assert list((tmp_path / "attempts").iterdir()) == []


@pytest.mark.slow
def test_files_that_vanish_before_they_are_looked_at_are_a_failed_job(
    tmp_path: Path, still: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Folders, "publish", lambda folders, attempt, job_id: shutil.rmtree(attempt))

    async def run():
        async with supervised(tmp_path) as supervisor:
            return await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)

    job = asyncio.run(run())
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "vanished" in job.error.message


@pytest.mark.slow
def test_a_result_that_was_not_written_down_is_taken_up(tmp_path: Path, still: Path) -> None:
    """A crash between the renaming and the store: the folder is there, the job is still said to run."""

    async def make():
        async with supervised(tmp_path) as supervisor:
            return await ended(supervisor, supervisor.submit(request(still), {"source": still})[0].id)

    done = asyncio.run(make())
    before = (tmp_path / "results" / done.id).stat()
    store = Store(tmp_path, 10)
    store._database.execute("UPDATE jobs SET state = 'running', ended = NULL, result = NULL")
    store.close()
    (tmp_path / "attempts" / "leftover").mkdir()

    async def restart():
        async with supervised(tmp_path) as supervisor:
            return supervisor.job(done.id)

    job = asyncio.run(restart())
    assert (job.state, job.result) == (JobState.DONE, done.result)
    after = (tmp_path / "results" / done.id).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list((tmp_path / "attempts").iterdir()) == []


def test_one_service_a_folder_and_a_device_once(tmp_path: Path) -> None:
    async def run():
        async with supervised(tmp_path):
            with pytest.raises(UserError, match="Another service already uses"):
                Supervisor(Settings(folder=tmp_path))

    asyncio.run(run())
    asyncio.run(run())
    with pytest.raises(ValueError, match="name each device only once"):
        Settings(folder=tmp_path, devices=("cpu", "cpu"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be used"):
        Supervisor(Settings(folder=tmp_path / "file"))
