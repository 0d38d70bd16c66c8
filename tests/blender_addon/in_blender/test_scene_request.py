"""Sound of the scene that somebody has asked the service for: the real service, and this Blender's own rendering."""

import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]

SECONDS = 60.0


@pytest.fixture
def client(service: None, module: Modules) -> Iterator[object]:
    """The service's, which this Blender has started."""
    running = module("session.blender_service").service()
    yield running.client()
    running.stop()


@pytest.fixture
def ask(service: None, module: Modules, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    """Asks the service for the scene as a DAW's bridge does; this Blender takes it up, as one with a window does."""
    blender, own, requests = (
        module("session.blender_service"),
        module("omniaudio_client.records"),
        module("session.scene_requests"),
    )
    running = module("service.service").Service(blender.folder(), requests.receive)
    monkeypatch.setattr(blender, "_service", running)
    client = running.client()

    def request(
        start: int | None = None, end: int | None = None, camera: str | None = None, **values: object
    ) -> object:
        connected(client)
        options = module("omniaudio_client.options").GenerationOptions(model="draft", steps=2, **values)
        job = client.create(own.GenerateRequest(own.SceneSource(start, end, camera), options=options))
        until(requests.waiting)
        return job

    request.client = client
    yield request
    running.stop()


@pytest.fixture
def small(scene: bpy.types.Scene) -> bpy.types.Scene:
    """A scene that is rendered quickly."""
    scene.render.fps = 10
    scene.frame_start, scene.frame_end = 1, 20
    scene.omniaudio.width, scene.omniaudio.samples, scene.omniaudio.frames_per_second = 256, 1, 1
    return scene


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def connected(client: object) -> None:
    until(client.blenders)


def ended(client: object, job: object) -> object:
    until(lambda: client.job(job.id).over)
    return client.job(job.id)


def test_it_is_rendered_made_and_placed_and_the_job_is_left_to_who_asked(
    ask: Callable[..., object], small: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hafen.blend"))
    job = ask(6, 15, seed=7, takes=2, preview=True, map=False)
    assert bpy.ops.omniaudio.answer_request() == {"FINISHED"}
    ours = [strip for strip in small.sequence_editor.strips_all if "omniaudio" in strip]
    masters = [strip for strip in ours if strip["omniaudio"]["role"] == "master"]
    assert len(masters) == 2
    for master in masters:
        assert (master.frame_final_start, master.frame_final_duration) == (6, 10)
        assert master["omniaudio"]["source"] == "SCENE"
        assert master["omniaudio"]["options"]["seed"] == 7
        with wave.open(bpy.path.abspath(master.sound.filepath)) as file:
            assert file.getnframes() == file.getframerate()
    assert (tmp_path / "hafen_clip_001.mp4").is_file()
    made = ask.client.job(job.id)
    assert made.state == "done"
    ask.client.download(job.id, made.result.takes[1].sound, tmp_path / "fetched.wav")


def test_the_camera_that_is_asked_for_is_looked_through(
    ask: Callable[..., object], small: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hafen.blend"))
    listener = bpy.data.objects.new("Listener", bpy.data.cameras.new("Listener"))
    small.collection.objects.link(listener)
    small.camera = None
    seen = []
    bpy.app.handlers.render_pre.append(lambda scene, *_: seen.append(scene.camera.constraints[0].target))
    try:
        job = ask(1, 1, "Listener")
        assert bpy.ops.omniaudio.answer_request() == {"FINISHED"}
    finally:
        bpy.app.handlers.render_pre.pop()
    assert seen == [listener]
    ours = [strip for strip in small.sequence_editor.strips_all if "omniaudio" in strip]
    assert {strip["omniaudio"]["camera"] for strip in ours if strip["omniaudio"]["role"] == "master"} == {"Listener"}
    job = ask(1, 1, "Kran")
    with pytest.raises(RuntimeError, match=r"no camera Kran; its cameras are: .*Listener"):
        bpy.ops.omniaudio.answer_request()
    assert "no camera Kran" in ended(ask.client, job).error.message


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda scene: setattr(scene, "camera", None), "has no camera"),
        (lambda scene: setattr(scene, "frame_end", 5), "has the frames 1 to 5"),
    ],
)
def test_what_cannot_be_rendered_is_said_to_who_asked(
    ask: Callable[..., object], small: bpy.types.Scene, spoil: Callable[..., None], said: str
) -> None:
    spoil(small)
    job = ask(6)
    with pytest.raises(RuntimeError, match=said):
        bpy.ops.omniaudio.answer_request()
    failed = ended(ask.client, job)
    assert failed.error.code == "refused"
    assert said in failed.error.message


def test_one_that_was_cancelled_meanwhile_places_nothing(
    ask: Callable[..., object], small: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hafen.blend"))
    job = ask()
    ask.client.cancel(job.id)
    assert bpy.ops.omniaudio.answer_request() == {"CANCELLED"}
    assert ask.client.job(job.id).state == "cancelled"
    assert small.sequence_editor is None or not small.sequence_editor.strips


def test_a_job_that_is_closed_says_so_to_who_asked(
    ask: Callable[..., object], small: bpy.types.Scene, module: Modules
) -> None:
    job = ask()
    scene_request = module("session.scene_requests").take()
    snapshot = module("workflows.scene").snapshot_for(bpy.context, small, scene_request.job)
    steps = module("workflows.scene").answer(scene_request, snapshot, True, lambda: False)
    next(steps)
    steps.close()
    assert "another file was opened" in ended(ask.client, job).error.message


def test_a_job_that_the_service_repeats_is_taken_up_once(ask: Callable[..., object], module: Modules) -> None:
    ask()
    requests = module("session.scene_requests")
    scene_request = requests.take()
    requests.receive(None, scene_request.job)
    assert not requests.waiting()
    scene_request.end("Enough.")


def test_without_a_window_it_is_not_asked(client: object, module: Modules) -> None:
    """Nothing would take the request up."""
    own = module("omniaudio_client.records")
    with pytest.raises(module("omniaudio_client.http").ServiceError, match="No Blender is connected"):
        client.create(own.GenerateRequest(own.SceneSource()))
