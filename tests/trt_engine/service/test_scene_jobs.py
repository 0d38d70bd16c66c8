"""Blenders that are connected to a service and render their scenes for its jobs, by the real client."""

import dataclasses
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from omniaudio_client.client import Client
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, Job, MediaSource, PathSource, Progress, SceneSource
from support.client_errors import broken
from support.connected_blender import ConnectedBlender
from support.http_service import serving
from support.running_service import RunningService
from trt_engine.service.jobs import blenders
from trt_engine.service.settings import TOKEN, Settings

SCENE = GenerateRequest(
    SceneSource(1, 24), duration=0.5, options=GenerationOptions(model="draft", steps=2, preview=False, map=False)
)
LONG = dataclasses.replace(SCENE, options=dataclasses.replace(SCENE.options, steps=300))
AWAY = 1.0


def seeded(seed: int) -> GenerateRequest:
    return dataclasses.replace(SCENE, options=dataclasses.replace(SCENE.options, seed=seed))


@pytest.fixture
def client(tmp_path: Path, still: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of a service that waits a second for a Blender to come back."""
    monkeypatch.setattr(blenders, "AWAY_SECONDS", AWAY)
    folder = tmp_path / "service"
    with serving(Settings(folder=folder, port=0, roots=(still.parent,))) as served:
        yield Client(served.service.url, (folder / TOKEN).read_text().strip())


def until(client: Client, job_id: str, condition: Callable[[Job], bool]) -> Job:
    for job in client.events(job_id):
        if condition(job):
            return job
    raise AssertionError(job)


def alone(client: Client) -> None:
    """Wait until the service knows that its Blenders have gone."""
    deadline = time.monotonic() + 5
    while client.blenders():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_a_blender_there_is_no_scene(client: Client) -> None:
    assert "No Blender is connected" in broken("no_blender", lambda: client.create(SCENE))
    assert client.jobs() == ()


def test_a_blender_without_a_window_is_only_there(client: Client) -> None:
    with closing(client.requests_for_blender("batch.blend", renders=False)) as silent:
        thread = threading.Thread(target=list, args=(silent,))
        thread.start()
        deadline = time.monotonic() + 10
        while not client.blenders():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        broken("no_blender", lambda: client.create(SCENE))
        with ConnectedBlender(client, "forest.blend") as blender:
            jobs = [client.create(seeded(seed)).id for seed in range(2)]
            assert [blender.asked().id for _ in jobs] == jobs
    thread.join(10)
    assert not thread.is_alive()


def test_a_scene_becomes_sound(client: Client, still: Path) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        assert [one.name for one in client.blenders()] == ["forest.blend"]
        request = dataclasses.replace(SCENE, request_id="scene")
        created = client.create(request)
        assert created.progress == Progress("waiting for Blender", 0.0)
        asked = blender.asked()
        assert (asked.id, asked.request) == (created.id, request)
        assert client.create(request).id == created.id, "the same request is the same job"

        assert client.rendering(asked.id, Progress("rendering", 0.5, 3.0)).state == "queued"
        seen = until(client, asked.id, lambda job: job.progress is not None and job.progress.fraction > 0)
        assert seen.progress == Progress("rendering", 0.5 * blenders.RENDERING_SHARE)

        given = client.give_clip(asked.id, PathSource(str(still)), duration=0.25)
        assert client.give_clip(asked.id, PathSource(str(still)), duration=0.25).id == given.id, "again is the same"
        broken("conflict", lambda: client.give_clip(asked.id, PathSource(str(still))))
        broken("conflict", lambda: client.refuse(asked.id, "Too late."))
        steps = list(client.events(asked.id))
        fractions = [job.progress.fraction for job in steps if job.progress is not None]
        assert min(fractions) >= blenders.RENDERING_SHARE
        done = steps[-1]
        assert done.state == "done", done.error
        assert done.request == request
        assert done.result is not None
        (take,) = done.result.takes
        assert take.samples == round(0.25 * take.rate), "the clip's range is the job's"
        assert client.give_clip(asked.id, PathSource(str(still))).state == "done", "an ended job stays as it is"
        assert blender.idle


def test_an_uploaded_clip_is_kept_while_it_is_needed(client: Client, still: Path) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        client.create(LONG)
        asked = blender.asked()
        media = client.upload(still)
        client.give_clip(asked.id, MediaSource(media.id), duration=0.5)
        broken("conflict", lambda: client.remove_upload(media.id))
        client.cancel(asked.id)
        client.remove_upload(media.id)


def test_a_clip_that_the_service_may_not_read_leaves_the_job_waiting(client: Client, tmp_path: Path) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        client.create(SCENE)
        asked = blender.asked()
        broken("source", lambda: client.give_clip(asked.id, PathSource(str(tmp_path / "elsewhere.mp4"))))
        assert client.job(asked.id).progress == Progress("waiting for Blender", 0.0)


def test_a_blender_refuses(client: Client) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        client.create(SCENE)
        asked = blender.asked()
        client.refuse(asked.id, "The scene has no camera: add one.")
        failed = client.wait(asked.id)
        assert failed.state == "failed"
        assert failed.error is not None
        assert (failed.error.code, failed.error.message) == ("refused", "The scene has no camera: add one.")
        assert client.refuse(asked.id, "Again.").error == failed.error


def test_a_blender_is_told_that_its_job_was_cancelled(client: Client) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        client.create(SCENE)
        asked = blender.asked()
        client.cancel(asked.id)
        assert client.rendering(asked.id, Progress("rendering", 0.5)).over
        broken("not_found", lambda: client.rendering("0" * 32, Progress("rendering", 0.5)))


def test_a_job_that_is_no_scene_accepts_no_clip(client: Client, still: Path) -> None:
    job = client.create(dataclasses.replace(LONG, source=PathSource(str(still))))
    broken("conflict", lambda: client.give_clip(job.id, PathSource(str(still))))
    broken("conflict", lambda: client.refuse(job.id, "No."))
    client.cancel(job.id)


@pytest.mark.slow
def test_two_blenders_share_the_jobs_and_each_is_told_its_own(client: Client, still: Path) -> None:
    with ConnectedBlender(client, "one.blend") as one, ConnectedBlender(client, "two.blend") as two:
        jobs = [client.create(seeded(seed)).id for seed in range(3)]
        # The last that came is the first that is asked, and then who has less to do.
        assert [two.asked().id, one.asked().id, two.asked().id] == jobs
        one.leave()
        failed = client.wait(jobs[1])
        assert failed.error is not None
        assert failed.error.code == "no_blender"
        assert "one.blend" in failed.error.message
        for job_id in (jobs[0], jobs[2]):
            assert client.job(job_id).state == "queued", "the other one's go on"
            client.give_clip(job_id, PathSource(str(still)), duration=0.5)
        assert [client.wait(job_id).state for job_id in (jobs[0], jobs[2])] == ["done", "done"]
        assert one.idle
        assert two.idle


@pytest.mark.slow
def test_a_job_that_has_its_clip_no_longer_needs_its_blender(client: Client, still: Path) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        client.create(SCENE)
        asked = blender.asked()
        client.give_clip(asked.id, PathSource(str(still)), duration=0.5)
    alone(client)
    assert client.wait(asked.id).state == "done"


@pytest.mark.slow
def test_a_blender_that_comes_back_in_time_has_its_job_still(client: Client, still: Path) -> None:
    own = "0123456789abcdef" * 2
    with ConnectedBlender(client, "forest.blend", own) as blender:
        job = client.create(SCENE)
        assert blender.asked().id == job.id
    with ConnectedBlender(client, "forest.blend", own) as repeated:
        assert repeated.asked().id == job.id
        time.sleep(1.5 * AWAY)
        assert client.job(job.id).state == "queued"
        client.give_clip(job.id, PathSource(str(still)), duration=0.5)
        assert client.wait(job.id).state == "done"


@pytest.mark.slow
@pytest.mark.parametrize("end", [RunningService.kill, RunningService.stop])
def test_a_restart_while_blender_renders(tmp_path: Path, still: Path, end: Callable[[RunningService], None]) -> None:
    """The Blender comes back by itself, gets the job once, and gives its clip to the next service."""
    shutil.copy(still, tmp_path / "still.png")
    service = RunningService(tmp_path / "service", tmp_path)
    client = service.start()
    try:
        with ConnectedBlender(client, "forest.blend") as blender:
            job = client.create(SCENE)
            assert blender.asked().id == job.id
            end(service)
            service.start()
            assert client.job(job.id).progress == Progress("waiting for Blender", 0.0)
            deadline = time.monotonic() + 20
            while not client.blenders():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            client.rendering(job.id, Progress("rendering", 0.9))
            client.give_clip(job.id, PathSource(str(tmp_path / "still.png")), duration=0.5)
            done = client.wait(job.id)
            assert done.state == "done", done.error
            assert blender.idle
    finally:
        service.stop()


def test_leaving_ends_the_iteration_at_once(client: Client) -> None:
    with ConnectedBlender(client, "forest.blend") as blender:
        began = time.monotonic()
        blender.leave()
        assert time.monotonic() - began < 1
        alone(client)
