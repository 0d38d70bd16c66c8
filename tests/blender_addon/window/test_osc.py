"""The OSC bridge in the real window: started and stopped by mouse, and a DAW that asks for the scene that is open."""

import time
import wave
from pathlib import Path

from support.blender_window.live_blender import LiveBlender
from support.daw import Daw, free_port

HEADER_BELOW_BUTTON = 39
"""Pixels from the button that generates to the header of the panel below."""


def open_panel(blender: LiveBlender) -> None:
    """A panel that is closed at first."""
    x, y = blender.find_button("bpy.ops.omniaudio.generate(")
    blender.screen.click(x - 60, y + HEADER_BELOW_BUTTON)
    time.sleep(0.5)  # it opens smoothly


def test_a_daw_gets_the_scene_that_is_open(live_blender: LiveBlender, tmp_path: Path) -> None:
    port = free_port()
    blender = live_blender
    blender.do(f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'hafen.blend')!r})")
    blender.do(
        "scene = bpy.context.window_manager.windows[0].scene; scene.frame_start, scene.frame_end = 1, 24; "
        "scene.omniaudio.width, scene.omniaudio.samples, scene.omniaudio.frames_per_second = 256, 1, 2; "
        f"addon('session.preferences').preferences().osc.port = {port}"
    )
    blender.open_sidebar()
    open_panel(blender)
    blender.click_button("bpy.ops.omniaudio.osc_start(")
    blender.wait_for("addon('session.blender_osc').state().kind == 'listening'")
    blender.wait_for("addon('session.blender_service').service().state.kind == 'ready'")
    blender.wait_for("len(addon('session.blender_service').service().client().blenders())")
    daw = Daw(port)
    daw.send("generate_scene", "a", '{"frame_start": 7, "frame_end": 18, "steps": 2}')
    assert daw.hear("accepted", "fail").address == "/omniaudio/accepted"
    done = daw.hear("done", "fail", seconds=120)
    assert done.arguments[:2] == ("a", 1)
    with wave.open(str(done.arguments[2])) as file:
        assert (file.getnchannels(), file.getnframes()) == (4, file.getframerate() // 2)
    blender.wait_for("jobs()[-1]['state'] == 'done'")
    (master,) = blender.strips("master")
    assert Path(master["file"]).read_bytes() == Path(str(done.arguments[2])).read_bytes()
    blender.over_sequence()
    blender.screen.press("ctrl+z")
    blender.wait_for("not strips()")
    blender.wait_for("addon('session.blender_osc').state().last.startswith('a, take 1')")
    blender.click_button("bpy.ops.omniaudio.osc_stop(")
    blender.wait_for("addon('session.blender_osc').state().kind == 'off'")


def test_a_scene_without_a_camera_is_refused_and_esc_ends_a_render(live_blender: LiveBlender) -> None:
    blender = live_blender
    blender.open_sidebar()
    blender.do("addon('session.blender_service').service().wake()")
    blender.wait_for("addon('session.blender_service').service().state.kind == 'ready'")
    blender.wait_for("len(addon('session.blender_service').service().client().blenders())")
    ask = "own = addon('omniaudio_client.records'); client = addon('session.blender_service').service().client(); "
    ask += "options = addon('omniaudio_client.options').GenerationOptions(model='draft', steps=2); "
    ask += "job = client.create(own.GenerateRequest(own.SceneSource(), options=options)).id"
    camera = "scene = bpy.context.window_manager.windows[0].scene; camera = scene.camera; scene.camera = None"
    blender.do(camera)
    blender.do(ask)
    blender.wait_for("client.job(job).over")
    assert blender.ask("client.job(job).error.code") == "refused"
    assert "has no camera" in blender.ask("client.job(job).error.message")
    blender.do("scene.camera = camera; scene.omniaudio.width, scene.omniaudio.samples = 2048, 64")
    blender.do(ask)
    blender.wait_for("jobs()[-1:] and jobs()[-1]['state'] == 'running' and bpy.app.is_job_running('RENDER')")
    blender.over_sequence()
    blender.screen.press("Escape")
    blender.wait_for("client.job(job).over", seconds=120)
    assert blender.ask("client.job(job).error.code") == "refused"
    assert blender.jobs()[-1]["state"] == "cancelled"
