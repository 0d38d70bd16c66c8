"""The operator from the button to the strips, with the real service; and what it says when something is missing."""

import json
import os
import subprocess
import time
import wave
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]

VIDEO_FRAMES = 1202


def of_role(scene: bpy.types.Scene, role: str) -> list[bpy.types.Strip]:
    """The strips of a role, in the order of their takes."""
    ours = [strip for strip in scene.sequence_editor.strips_all if strip.get("omniaudio", {}).get("role") == role]
    return sorted(ours, key=lambda strip: strip["omniaudio"]["number"])


def saved(folder: Path) -> Path:
    path = folder / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def finish(job: object) -> None:
    while not job.step():
        time.sleep(0.01)


def says(message: str, **properties: object) -> None:
    """The operator refuses with this message, and with no trace."""
    with pytest.raises(RuntimeError) as error:
        bpy.ops.omniaudio.generate(**properties)
    assert message in str(error.value)
    assert "Traceback" not in str(error.value)


def test_sound_for_a_trimmed_video_strip(
    service: None, video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    video.frame_offset_start, video.frame_offset_end = 60, VIDEO_FRAMES - 60 - 45  # 1.5 s, from second 2
    saved(tmp_path)
    scene.omniaudio.seed = 5
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    (master,), (preview,) = of_role(scene, "master"), of_role(scene, "preview")
    for strip in (master, preview):
        assert (strip.frame_final_start, strip.frame_final_duration) == (71, 45)
        assert strip.sound.filepath.startswith("//")
    with wave.open(bpy.path.abspath(master.sound.filepath)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (4, 3)
        assert file.getnframes() == round(1.5 * file.getframerate())
    made_by = master["omniaudio"].to_dict()
    assert (made_by["clip_start"], made_by["clip_duration"], made_by["options"]["seed"]) == (2.0, 1.5, 5)
    assert made_by["options"]["model"] == "draft"
    assert Path(bpy.path.abspath(made_by["clip"])).resolve() == Path(bpy.path.abspath(video.filepath)).resolve()
    sidecar = json.loads(Path(bpy.path.abspath(made_by["sidecar"])).read_text())
    assert sidecar["options"]["seed"] == 5
    assert Path(bpy.path.abspath(made_by["direction_map"])).is_file()


def test_another_take_does_not_overwrite_the_first(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    saved(tmp_path)
    for _ in range(2):
        assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    sounds = {strip.sound.filepath for role in ("master", "preview") for strip in of_role(scene, role)}
    stem = Path(short_video.filepath).stem
    assert sounds == {f"//{stem}_00{n}{kind}.wav" for n in (1, 2) for kind in ("", ".preview")}


def test_several_takes_are_one_press_and_their_seed_and_steps_are_the_panel_s(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    saved(tmp_path)
    settings = scene.omniaudio
    settings.takes, settings.seed, settings.steps = 2, 11, 3
    settings.guidance_own, settings.guidance = True, 2.0
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    masters, previews = of_role(scene, "master"), of_role(scene, "preview")
    assert [strip["omniaudio"]["take"] for strip in masters] == [1, 2]
    assert len({strip.channel for strip in masters + previews}) == 4
    assert [strip.mute for strip in previews] == [False, True]
    sidecar = json.loads(Path(bpy.path.abspath(masters[1]["omniaudio"]["sidecar"])).read_text())
    options = sidecar["options"]
    assert (options["seed"], sidecar["take"], options["steps"], options["guidance"]) == (11, 2, 3, 2.0)


def test_without_a_preview_there_is_the_master_alone(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, preferences: object
) -> None:
    saved(tmp_path)
    preferences.preview = False
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert (len(of_role(scene, "master")), of_role(scene, "preview")) == (1, [])


def test_takes_steps_and_folder_are_the_preferences_until_they_are_set_here(
    scene: bpy.types.Scene, preferences: object, module: Modules, tmp_path: Path
) -> None:
    preferences.takes, preferences.steps, preferences.folder = 3, 7, str(tmp_path)
    settings = scene.omniaudio
    assert (settings.takes, settings.steps) == (3, 7)
    scene.camera = bpy.data.objects["Camera"]
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context, None, "SCENE")
    assert (snapshot.request.options.takes, snapshot.request.options.steps, snapshot.folder) == (3, 7, tmp_path)
    settings.takes, settings.steps = 1, 0
    preferences.takes = 5
    assert (settings.takes, settings.steps) == (1, 0)


def test_sound_for_the_scene_in_a_file_that_was_never_saved(
    service: None, scene: bpy.types.Scene, module: Modules
) -> None:
    scene.render.fps, scene.frame_start, scene.frame_end = 8, 3, 10
    scene.cycles.use_denoising = False
    scene.world = bpy.data.worlds.new("sky")
    scene.omniaudio.width, scene.omniaudio.samples = 256, 1
    assert bpy.ops.omniaudio.generate(source="SCENE") == {"FINISHED"}
    strips = of_role(scene, "master") + of_role(scene, "preview")
    assert [(s.frame_final_start, s.frame_final_duration) for s in strips] == [(3, 8), (3, 8)]
    folder = module("workflows.snapshot").output_folder("//")
    assert folder.is_absolute()
    assert {Path(strip.sound.filepath).parent for strip in strips} == {folder}
    assert (folder / "Scene_clip_001.mp4").is_file()
    assert scene.sequence_editor.active_strip == of_role(scene, "group")[0]


def test_a_cancelled_job_leaves_nothing(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Stepped by hand, as the modal operator does: without a window Blender's timers never fire."""
    saved(tmp_path)
    scene.omniaudio.steps, scene.omniaudio.takes = 200, 4  # so that sampling is not over between two steps
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    job = module("core.job").BlenderJob("video", lambda cancelled: generate(snapshot, False, cancelled))
    while job.progress.stage != "sampling":
        assert not job.step(), job.error
    job.cancel()
    finish(job)
    assert job.state == "cancelled"
    assert [strip.name for strip in scene.sequence_editor.strips] == ["video"]
    assert [path.name for path in tmp_path.iterdir()] == ["scene.blend"]


def test_a_scene_that_is_gone_is_a_message_with_the_place_of_the_files(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    job = module("core.job").BlenderJob("video", lambda cancelled: generate(snapshot, False, cancelled))
    scene.name = "another"
    finish(job)
    assert job.state == "failed"
    assert f"is gone; the files are in {tmp_path}" in job.error.message


def test_no_step_of_a_job_holds_the_window_up(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Below 50 ms of this thread's own time: what else the machine does does not count."""
    saved(tmp_path)
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    job = module("core.job").BlenderJob("video", lambda cancelled: generate(snapshot, False, cancelled))
    longest, over = 0.0, False
    while not over:
        before = time.thread_time()
        over = job.step()
        longest = max(longest, time.thread_time() - before)
        time.sleep(0.01)
    assert job.state == "done", job.error
    assert longest < 0.05


def test_a_missing_service_is_a_message(
    video: bpy.types.Strip, monkeypatch: pytest.MonkeyPatch, preferences: object, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    saved(tmp_path)
    monkeypatch.delenv("OMNIAUDIO_PYTHON", raising=False)
    monkeypatch.setenv("PATH", os.devnull)
    bpy.ops.omniaudio.restart_service()
    says("The OmniAudio engine was not found")
    preferences.program = "/no/such/python"
    says("'/no/such/python' is not a program")
    assert [strip.name for strip in scene.sequence_editor.strips] == ["video"]


def test_an_address_where_nobody_answers_is_a_message(
    video: bpy.types.Strip, preferences: object, tmp_path: Path
) -> None:
    saved(tmp_path)
    preferences.connection, preferences.address = "CONNECT", "http://127.0.0.1:9"
    says("No service answers at http://127.0.0.1:9")
    preferences.address = "forest"
    says("is no address of a service")


def test_a_service_at_an_address_does_it_too(
    service: None,
    short_video: bpy.types.Strip,
    preferences: object,
    tmp_path: Path,
    scene: bpy.types.Scene,
    module: Modules,
) -> None:
    """One that reads no file of this machine: the clip is uploaded, and the sound fetched."""
    saved(tmp_path)
    folder = tmp_path / "engine elsewhere"
    words = ["-m", "omniaudio.cli", "serve", "--folder", str(folder), "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([os.environ["OMNIAUDIO_PYTHON"], *words], stdout=log, stderr=log)
    try:
        while not (folder / "service.json").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        preferences.connection, preferences.token = "CONNECT", "wrong"
        preferences.address = json.loads((folder / "service.json").read_text())["url"]
        says("asks for its token")
        preferences.token = (folder / "token").read_text().strip()
        assert bpy.ops.omniaudio.generate() == {"FINISHED"}
        assert of_role(scene, "master")[0].sound.filepath == f"//{Path(short_video.filepath).stem}_001.wav"
        module("session.blender_service").stop()  # which leaves a service alone that it has not started
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)


def test_the_service_s_refusal_is_shown_with_what_mends_it(
    service: None, video: bpy.types.Strip, preferences: object, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    preferences.model = "no such model"
    says("no such model")
    failed = list(module("core.job").jobs)[-1]
    assert [fix.operator for fix in module("core.fixes").fixes(failed.error.code)] == ["omniaudio.show_preferences"]


def test_what_is_no_360_degree_clip_is_refused_and_may_be_taken_all_the_same(
    service: None, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    flat = bpy.data.images.new("flat", 320, 240)
    flat.filepath_raw, flat.file_format = str(tmp_path / "flat.png"), "PNG"
    flat.save()
    editor = scene.sequence_editor_create()
    editor.active_strip = editor.strips.new_image("flat", str(tmp_path / "flat.png"), 1, 1)
    editor.active_strip.frame_final_duration = 24
    saved(tmp_path)
    says("not a 360° panorama")
    failed = list(module("core.job").jobs)[-1]
    (fix,) = module("core.fixes").fixes(failed.error.code)
    assert (fix.operator, fix.of_job, fix.force) == ("omniaudio.retry", True, True)
    count = len(list(module("core.job").jobs))
    assert bpy.ops.omniaudio.retry(force=True) == {"FINISHED"}
    assert len(list(module("core.job").jobs)) == count
    assert of_role(scene, "master")[0]["omniaudio"]["force"]


def test_a_video_that_is_truncated_is_refused_and_what_can_be_read_may_be_taken(
    service: None, video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(Path(bpy.path.abspath(video.filepath)).read_bytes()[:20_000])
    video.filepath = str(cut)
    saved(tmp_path)
    says("cut.mp4 is truncated: its header says 40.07 s")
    failed = list(module("core.job").jobs)[-1]
    (fix,) = module("core.fixes").fixes(failed.error.code)
    assert (fix.operator, fix.of_job, fix.allow_truncated) == ("omniaudio.retry", True, True)
    assert bpy.ops.omniaudio.retry(allow_truncated=True) == {"FINISHED"}
    (master,) = of_role(scene, "master")
    assert master["omniaudio"]["allow_truncated"]
    assert 60 < master.frame_final_duration < 600
    assert bpy.ops.omniaudio.regenerate() == {"FINISHED"}


def test_what_a_strip_cannot_do_is_refused(video: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    video.filepath = "//gone.mp4"
    says("is missing")
    scene.sequence_editor.active_strip = None
    says("Select a movie or image strip")
    scene.camera = None
    says("has no camera", source="SCENE")
    scene.omniaudio.source = "FILE"
    says("Choose a file")


def test_a_folder_that_takes_no_files_is_a_message(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    scene.omniaudio.folder = str(tmp_path / "file" / "below")
    says("No files can be written to the folder")


def test_a_rendered_panorama_outlives_the_service_s_failure(
    service: None, scene: bpy.types.Scene, preferences: object, tmp_path: Path
) -> None:
    saved(tmp_path)
    scene.frame_end = 2
    scene.omniaudio.source = "SCENE"
    scene.omniaudio.width, scene.omniaudio.samples = 256, 1
    preferences.model = "no such model"
    says(f"The rendered clip is kept: {tmp_path / 'scene_clip_001.mp4'}")
    assert (tmp_path / "scene_clip_001.mp4").is_file()


@pytest.mark.skipif("sequencer_scene" not in bpy.types.WorkSpace.bl_rna.properties, reason="needs Blender 5.0 or later")
def test_the_sequencer_shows_the_scene_that_got_the_strips(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    saved(tmp_path)
    bpy.context.workspace.sequencer_scene = None
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert bpy.context.workspace.sequencer_scene == scene


def test_one_undo_takes_a_press_away(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    saved(tmp_path)
    scene.omniaudio.takes = 2
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.omniaudio.generate("EXEC_DEFAULT", True) == {"FINISHED"}
    assert len(of_role(bpy.context.scene, "master")) == 2
    bpy.ops.ed.undo()
    scene = bpy.context.scene
    assert [strip.name for strip in scene.sequence_editor.strips_all] == ["video"]
    assert "omniaudio" not in scene.sequence_editor.strips["video"]
    bpy.ops.ed.redo()
    assert len(of_role(bpy.context.scene, "master")) == 2
