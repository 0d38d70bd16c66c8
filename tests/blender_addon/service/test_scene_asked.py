"""What Blender tells the engine of a scene that was asked for, and hears of it; the engine is a real service."""

import time
from collections.abc import Callable, Iterator

import pytest

from blender_addon.core.errors import UserError
from blender_addon.core.frames import Placement
from blender_addon.service.scene_asked import Asked, frames_asked
from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from omniaudio_client.records import GenerateRequest, SceneSource
from support.connected_blender import ConnectedBlender
from support.running_service import RunningService

SECONDS = 20.0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """`omniaudio serve`, which may be killed and started."""
    running = RunningService(tmp_path_factory.mktemp("engine") / "service", tmp_path_factory.getbasetemp())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(service: RunningService) -> Iterator[Client]:
    """Of the service, to which a Blender is connected."""
    with ConnectedBlender(find(service.folder)) as blender:
        yield blender.client


@pytest.fixture
def asked(client: Client) -> Iterator[Asked]:
    """A job for a scene."""
    request = Asked(client, client.create(GenerateRequest(SceneSource())))
    yield request
    request.end()


def test_the_engine_is_told_how_far_the_rendering_is(client: Client, asked: Asked) -> None:
    asked.begin()
    asked.tell(0.5)
    until(lambda: (now := client.job(asked.job.id).progress) and now.stage == "rendering in Blender" and now.fraction)
    assert not asked.unwanted
    asked.end()
    asked.end("Only the first end counts.")
    time.sleep(1)
    assert client.job(asked.job.id).state == "queued"


def test_one_that_is_cancelled_is_unwanted(client: Client, asked: Asked) -> None:
    asked.begin()
    client.cancel(asked.job.id)
    until(lambda: asked.unwanted)


@pytest.mark.parametrize("begun", [False, True])
def test_whoever_asked_is_told_why_not(client: Client, asked: Asked, begun: bool) -> None:
    if begun:
        asked.begin()
    before = time.monotonic()
    asked.end("The scene has no camera: add one.")
    assert time.monotonic() - before < 0.1
    until(lambda: client.job(asked.job.id).over)
    job = client.job(asked.job.id)
    assert job.error is not None
    assert (job.state, job.error.code, job.error.message) == ("failed", "refused", "The scene has no camera: add one.")


@pytest.mark.slow
def test_a_refusal_waits_for_an_engine_that_was_killed(service: RunningService, client: Client, asked: Asked) -> None:
    asked.begin()
    service.kill()
    asked.end("The scene has no camera: add one.")
    time.sleep(1)
    service.start()
    until(lambda: client.job(asked.job.id).over)


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ((None, None), Placement(1, 250)),
        ((10, None), Placement(10, 241)),
        ((None, 10), Placement(1, 10)),
        ((-5, 300), Placement(-5, 306)),
        ((7, 7), Placement(7, 1)),
    ],
)
def test_the_frames_that_are_asked_for(wanted: tuple[int | None, int | None], place: Placement) -> None:
    assert frames_asked(SceneSource(*wanted), Placement(1, 250)) == place


@pytest.mark.parametrize("wanted", [(251, None), (None, 0)])
def test_no_frames_are_a_message(wanted: tuple[int | None, int | None]) -> None:
    with pytest.raises(UserError, match="the scene in Blender has the frames 1 to 250"):
        frames_asked(SceneSource(*wanted), Placement(1, 250))
