"""What Blender tells the service of a scene that was asked for, and hears of it; the service is a real service."""

import time
from collections.abc import Callable, Iterator

import pytest

from blender_addon.core.errors import UserError
from blender_addon.core.frames import Placement
from blender_addon.service.scene_request import SceneRequest, requested_frames
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
def scene_request(client: Client) -> Iterator[SceneRequest]:
    """A job for a scene."""
    request = SceneRequest(client, client.create(GenerateRequest(SceneSource())))
    yield request
    request.end()


def test_the_service_is_told_how_far_the_rendering_is(client: Client, scene_request: SceneRequest) -> None:
    scene_request.begin()
    scene_request.report(0.5)
    until(
        lambda: (
            (now := client.job(scene_request.job.id).progress) and now.stage == "rendering in Blender" and now.fraction
        )
    )
    assert not scene_request.unwanted
    scene_request.end()
    scene_request.end("Only the first end counts.")
    time.sleep(1)
    assert client.job(scene_request.job.id).state == "queued"


def test_one_that_is_cancelled_is_unwanted(client: Client, scene_request: SceneRequest) -> None:
    scene_request.begin()
    client.cancel(scene_request.job.id)
    until(lambda: scene_request.unwanted)


@pytest.mark.parametrize("begun", [False, True])
def test_whoever_asked_is_told_why_not(client: Client, scene_request: SceneRequest, begun: bool) -> None:
    if begun:
        scene_request.begin()
    before = time.monotonic()
    scene_request.end("The scene has no camera: add one.")
    assert time.monotonic() - before < 0.1
    until(lambda: client.job(scene_request.job.id).over)
    job = client.job(scene_request.job.id)
    assert job.error is not None
    assert (job.state, job.error.code, job.error.message) == ("failed", "refused", "The scene has no camera: add one.")


@pytest.mark.slow
def test_a_refusal_waits_for_a_service_that_was_killed(
    service: RunningService, client: Client, scene_request: SceneRequest
) -> None:
    scene_request.begin()
    service.kill()
    scene_request.end("The scene has no camera: add one.")
    time.sleep(1)
    service.start()
    until(lambda: client.job(scene_request.job.id).over)


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
    assert requested_frames(SceneSource(*wanted), Placement(1, 250)) == place


@pytest.mark.parametrize("wanted", [(251, None), (None, 0)])
def test_no_frames_are_a_message(wanted: tuple[int | None, int | None]) -> None:
    with pytest.raises(UserError, match="the scene in Blender has the frames 1 to 250"):
        requested_frames(SceneSource(*wanted), Placement(1, 250))
