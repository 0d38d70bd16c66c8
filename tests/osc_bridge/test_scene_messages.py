"""A DAW requests sound for the scene that is open in Blender: a real bridge and a real service; Blender is a program
that is connected to the service as Blender is, with a clip that is rendered already."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import soundfile

from omniaudio_client.discovery import find
from omniaudio_client.records import GenerateRequest, PathSource, Progress, SceneSource
from support.connected_blender import ConnectedBlender
from support.daw import SECONDS


def new_id():
    return uuid4().hex[:12]


@pytest.fixture
def blender(service):
    with ConnectedBlender(find(service.folder)) as connected:
        yield connected


def test_without_a_blender_it_fails_with_that_message(daw):
    name = new_id()
    daw.send("generate_scene", name)
    heard = daw.hear("accepted", "fail")
    assert heard.arguments[:2] == (name, "no_blender")
    assert "No Blender is connected" in heard.arguments[2]


def test_a_repeated_request_that_failed_without_a_blender_is_retried(daw, service):
    name = new_id()
    daw.send("generate_scene", name)
    assert daw.hear("fail").arguments[:2] == (name, "no_blender")
    daw.send("ack", name)
    with ConnectedBlender(find(service.folder)) as blender:
        daw.send("generate_scene", name)
        assert daw.hear("accepted", "fail").address == "/omniaudio/accepted"
        blender.client.refuse(blender.asked().id, "The scene has no camera: add one.")
        assert daw.hear("fail").arguments == (name, "refused", "The scene has no camera: add one.")


def test_a_scene_is_rendered_and_generated_into_the_bridges_folder(daw, bridge, blender, clip):
    name = new_id()
    daw.send(
        "generate_scene",
        name,
        '{"frame_start": 3, "frame_end": 26, "camera": "Dock", "seed": 5, "takes": 2, "steps": 2}',
    )
    job = daw.hear("accepted").arguments[1]
    asked = blender.asked()
    assert asked.id == job
    assert isinstance(asked.request, GenerateRequest)
    assert asked.request.source == SceneSource(3, 26, "Dock")
    options = asked.request.options
    assert (options.seed, options.takes, options.steps) == (5, 2, 2)
    blender.client.rendering(job, Progress("rendering in Blender", 0.5))
    while (progress := daw.hear("progress").arguments)[2] != "rendering in Blender":
        pass
    assert 0 < progress[1] < 1
    blender.client.give_clip(job, PathSource(str(clip)), 0.0, 1.0)
    takes = [daw.hear("done", "fail").arguments for _ in range(2)]
    daw.send("ack", name)
    for number, (request, take, path, channels, rate, order, duration, preview) in enumerate(takes, start=1):
        assert (request, take, channels, rate, order, duration) == (name, number, 4, 44100, "ambix", 1.0)
        assert Path(path).parent == bridge.scenes
        assert Path(path).name.startswith(f"scene.{name}.ambix")
        assert soundfile.info(path).frames == 44100
        assert soundfile.info(preview).channels == 2
        sidecar = Path(path).with_suffix(".json")
        assert (sidecar.parent / json.loads(sidecar.read_text())["input"]).resolve() == clip


def test_the_same_request_is_asked_of_blender_once_and_another_by_its_id_is_refused(daw, blender):
    name = new_id()
    daw.send("generate_scene", name, '{"frame_end": 9}')
    job = daw.hear("accepted").arguments[1]
    daw.send("generate_scene", name, '{"frame_end": 9}')
    assert daw.hear("accepted").arguments[1] == job
    for verb, *more in (("generate_scene", '{"frame_end": 8}'), ("generate", "/a/clip.mp4")):
        daw.send(verb, name, *more)
        assert daw.hear("fail").arguments[:2] == (name, "conflict")
    assert blender.asked().id == job
    blender.client.refuse(job, "It is busy: ask again.")
    assert daw.hear("fail").arguments == (name, "refused", "It is busy: ask again.")


def test_a_request_that_is_cancelled_while_blender_renders_has_ended(daw, blender):
    name = new_id()
    daw.send("generate_scene", name)
    job = daw.hear("accepted").arguments[1]
    assert not blender.client.rendering(job, Progress("rendering in Blender", 0.1)).over
    daw.send("cancel", name)
    assert daw.hear("fail").arguments[:2] == (name, "cancelled")
    assert blender.client.rendering(job, Progress("rendering in Blender", 0.2)).over


@pytest.mark.slow
def test_a_bridge_that_was_killed_while_blender_renders_says_done_when_it_is_back(new_bridge, blender, clip):
    bridge = new_bridge()
    daw = bridge.start()
    name = new_id()
    daw.send("generate_scene", name, '{"steps": 2}')
    job = daw.hear("accepted").arguments[1]
    bridge.kill()
    blender.client.give_clip(job, PathSource(str(clip)), 0.0, 0.5)
    bridge.start()
    assert daw.hear("done", "fail").arguments[:2] == (name, 1)


def test_osc_send_waits_for_a_scene(bridge, blender, clip):
    command = [sys.executable, "-m", "omniaudio.cli", "osc-send", "--scene", "--port", str(bridge.port)]
    command += ["--options", '{"frame_start": 1, "frame_end": 12, "steps": 2}']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        job = blender.asked()
        assert job.request.source == SceneSource(1, 12)
        blender.client.give_clip(job.id, PathSource(str(clip)), 0.0, 0.5)
        output, _ = program.communicate(timeout=SECONDS)
    assert program.returncode == 0
    (take,) = json.loads(output)["takes"]
    assert soundfile.info(take["path"]).channels == 4
