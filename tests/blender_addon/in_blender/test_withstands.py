"""What an artist does while sound is made, and where files lie that nobody thought of: nothing is lost, no trace."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]


def of_role(scene: bpy.types.Scene, role: str) -> list[bpy.types.Strip]:
    return [strip for strip in scene.sequence_editor.strips_all if strip.get("omniaudio", {}).get("role") == role]


def saved(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))


def says(message: str, **properties: object) -> None:
    with pytest.raises(RuntimeError) as error:
        bpy.ops.omniaudio.generate(**properties)
    assert message in str(error.value)


def still(scene: bpy.types.Scene, folder: Path) -> bpy.types.Strip:
    """A 360° image as the active strip, a second long."""
    image = bpy.data.images.new("panorama", 256, 128)
    image.filepath_raw, image.file_format = str(folder / "panorama.png"), "PNG"
    image.save()
    editor = scene.sequence_editor_create()
    editor.active_strip = editor.strips.new_image("panorama", str(folder / "panorama.png"), 1, 1)
    editor.active_strip.frame_final_duration = 24
    return editor.active_strip


def small_scene(scene: bpy.types.Scene) -> None:
    """One that is rendered quickly."""
    scene.frame_end, scene.cycles.use_denoising = 2, False
    scene.omniaudio.source, scene.omniaudio.width, scene.omniaudio.samples = "SCENE", 256, 1


@pytest.fixture(params=["size=4k", "ro"])
def bad_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that is full soon, or one that is read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def started(module: Modules) -> object:
    """The job of the button, as the modal operator has it; its service works on it already."""
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    job = module("core.job").BlenderJob(snapshot.title, lambda cancelled: generate(snapshot, False, cancelled))
    for _ in range(5):
        job.step()
    return job


def finish(job: object) -> None:
    while not job.step():
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["Töne 音 & video's “first” 100%", "/".join(3 * ["a" * 150])])
def test_names_of_every_kind(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, name: str
) -> None:
    saved(tmp_path / name)
    short_video.name = "ünïcödé 映画"
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    (master,) = of_role(scene, "master")
    assert Path(bpy.path.abspath(master.sound.filepath)).parent == tmp_path / name
    assert master.sound.filepath.startswith("//")
    assert bpy.ops.omniaudio.binaural() == {"FINISHED"}


def test_a_range_of_one_frame(service: None, scene: bpy.types.Scene, tmp_path: Path) -> None:
    saved(tmp_path)
    scene.frame_start = scene.frame_end = 7
    scene.omniaudio.width, scene.omniaudio.samples = 256, 1
    assert bpy.ops.omniaudio.generate(source="SCENE") == {"FINISHED"}
    (master,) = of_role(scene, "master")
    assert (master.frame_final_start, master.frame_final_duration) == (7, 1)


def test_the_clip_is_moved_while_its_sound_is_made(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    job = started(module)
    short_video.frame_start += 100
    finish(job)
    assert job.state == "done", job.error
    assert of_role(scene, "master")[0].frame_final_start == short_video.frame_final_start == 111


def test_the_clip_is_deleted_while_its_sound_is_made(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    job = started(module)
    scene.sequence_editor.strips.remove(short_video)
    finish(job)
    assert job.state == "done", job.error
    assert of_role(scene, "master")[0].frame_final_start == 11


def test_the_file_is_saved_and_the_job_undone_below_it(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Undo gives every object a new address; a job holds none."""
    saved(tmp_path)
    bpy.ops.ed.undo_push(message="before")
    scene.frame_current = 5
    bpy.ops.ed.undo_push(message="frame")
    job = started(module)
    bpy.ops.wm.save_mainfile()
    bpy.ops.ed.undo()
    finish(job)
    assert job.state == "done", job.error
    assert len(of_role(bpy.context.scene, "master")) == 1


def test_another_file_is_opened_meanwhile(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Blender cancels the operator then, which closes its job."""
    saved(tmp_path)
    job = started(module)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    job.close()
    assert job.state == "cancelled"
    assert bpy.context.scene.sequence_editor is None or not bpy.context.scene.sequence_editor.strips
    time.sleep(1.0)  # the service's side ends in a thread of its own
    assert {path.name for path in tmp_path.iterdir()} == {"scene.blend"}


def test_a_take_that_is_deleted_while_its_preview_is_made(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    (take,) = module("sequencer.takes").takes_of(scene, short_video)
    binaural = module("workflows.binaural").binaural
    job = module("core.job").BlenderJob("binaural", lambda cancelled: binaural(scene.name, take, 30.0, cancelled))
    job.step()
    scene.sequence_editor.strips.remove(of_role(scene, "group")[0])
    finish(job)
    assert job.state == "failed"
    assert "is gone; select another" in job.error.message


def test_a_deleted_source_is_a_message(service: None, scene: bpy.types.Scene, tmp_path: Path, module: Modules) -> None:
    """The file goes after the press, before the service looks at it."""
    still(scene, tmp_path)
    saved(tmp_path)
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    (tmp_path / "panorama.png").unlink()
    generate = module("workflows.generate").generate
    job = module("core.job").BlenderJob("gone", lambda cancelled: generate(snapshot, False, cancelled))
    finish(job)
    assert job.state == "failed"
    assert "panorama.png" in job.error.message
    assert not of_role(scene, "master")


def test_a_strip_that_is_selected_meanwhile_stays_the_active_one(
    service: None, video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    scene.frame_end, scene.cycles.use_denoising = 2, False
    scene.omniaudio.source, scene.omniaudio.width, scene.omniaudio.samples = "SCENE", 256, 1
    editor = scene.sequence_editor
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    for selected, active in ((None, "Scene sound"), ("video", "video")):
        job = module("core.job").BlenderJob("scene", lambda cancelled: generate(snapshot, True, cancelled))
        job.step()
        editor.active_strip = editor.strips[selected] if selected else editor.active_strip
        finish(job)
        assert job.state == "done", job.error
        assert editor.active_strip.name == active


def test_a_disk_that_is_full_or_read_only(
    service: None, scene: bpy.types.Scene, tmp_path: Path, bad_disk: Path, module: Modules
) -> None:
    """What was made stays at the service; on another disk the same press succeeds."""
    still(scene, tmp_path)
    saved(tmp_path)
    scene.omniaudio.folder = str(bad_disk)
    says(f"No files can be written to the folder {bad_disk}")
    assert list(bad_disk.iterdir()) == []
    assert [strip.name for strip in scene.sequence_editor.strips_all] == ["panorama"]
    failed = list(module("core.job").jobs)[-1]
    assert [fix.operator for fix in module("core.fixes").fixes(failed.error.code)] == ["omniaudio.retry"]
    scene.omniaudio.folder = ""
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}


def test_a_disk_that_takes_no_render(scene: bpy.types.Scene, bad_disk: Path) -> None:
    small_scene(scene)
    scene.omniaudio.folder = str(bad_disk)
    with suppress(OSError):  # read-only
        (bad_disk / "other").write_bytes(bytes(4096))
    says(f"No files can be written to the folder {bad_disk}")
    assert {path.name for path in bad_disk.iterdir()} <= {"other"}
    assert [other.name for other in bpy.data.scenes] == ["Scene"]


LONG = "a" * 300
"""More than a file system allows in a name."""


def test_paths_that_are_longer_than_can_be(
    scene: bpy.types.Scene, tmp_path: Path, make_take: Callable[..., object], module: Modules
) -> None:
    still(scene, tmp_path)
    scene.omniaudio.folder = f"//{LONG}"
    saved(tmp_path)
    says("No files can be written to the folder")
    scene.omniaudio.source, scene.omniaudio.file = "FILE", f"//{LONG}.mp4"
    says("is missing")
    scene.omniaudio.source, scene.sequence_editor.active_strip.directory = "STRIP", f"//{LONG}/"
    says("is missing")
    made_by = module("core.provenance").Provenance(clip=f"//{LONG}.mp4", direction_map=f"//{LONG}.png")
    place = module("core.frames").Placement(1, 24)
    inserted = module("sequencer.strips").insert_takes(scene, [make_take(1.0)], place, "video", made_by)
    scene.sequence_editor.active_strip = scene.sequence_editor.strips[inserted.group]
    for name in ("regenerate", "direction_map_video", "direction_map_image"):
        with pytest.raises(RuntimeError, match="is missing"):
            getattr(bpy.ops.omniaudio, name)()


def test_names_that_mean_something_to_blender(service: None, scene: bpy.types.Scene, tmp_path: Path) -> None:
    """`#` in a file to be rendered is the frame's number, braces are variables."""
    folder = tmp_path / "take {blend_name} #2"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "video ## {x}.blend"))
    small_scene(scene)
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert (folder / "video ## {x}_clip_001.mp4").is_file()
    assert Path(bpy.path.abspath(of_role(scene, "master")[0].sound.filepath)).parent == folder


def test_two_renders_have_two_names(service: None, scene: bpy.types.Scene, tmp_path: Path, module: Modules) -> None:
    """The second one is asked for before the first has its file."""
    saved(tmp_path)
    small_scene(scene)
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    jobs = [
        module("core.job").BlenderJob("scene", lambda cancelled: generate(snapshot, True, cancelled)) for _ in range(2)
    ]
    for job in jobs:
        job.step()
    for job in jobs:
        finish(job)
        assert job.state == "done", job.error
    assert {strip["omniaudio"]["clip"] for strip in of_role(scene, "master")} == {
        "//scene_clip_001.mp4",
        "//scene_clip_002.mp4",
    }


def following(scene: bpy.types.Scene, module: Modules) -> Iterator[float]:
    """The camera is followed through a copy of the scene, which is there as long as this is not at its end."""
    steps = module("render.orientation").camera_orientations(scene, module("core.frames").Placement(1, 3), Fraction(24))
    next(steps)
    return steps


def test_a_copy_that_was_saved_is_not_there_when_the_file_is_opened(
    scene: bpy.types.Scene, tmp_path: Path, module: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module("render.orientation"), "MAX_SECONDS_A_STEP", 0.0)
    steps = following(scene, module)
    with module("render.panorama_render").panorama_scene(
        scene,
        module("sequencer.sources").Panorama(128, 1, 1),
        module("core.frames").Placement(1, 1),
        tmp_path / "x.mp4",
    ):
        saved(tmp_path)
    steps.close()
    assert [other.name for other in bpy.data.scenes] == ["Scene"]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"), load_ui=False)
    assert [other.name for other in bpy.data.scenes] == ["Scene"]
    assert [camera.name for camera in bpy.data.objects] == ["Camera"]
    assert [camera.name for camera in bpy.data.cameras] == ["Camera"]


def test_undo_does_not_bring_a_copy_back(
    scene: bpy.types.Scene, module: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module("render.orientation"), "MAX_SECONDS_A_STEP", 0.0)
    steps = following(scene, module)
    bpy.ops.ed.undo_push(message="what the artist does meanwhile")
    assert list(steps)
    bpy.context.scene.frame_current = 5
    bpy.ops.ed.undo_push(message="and afterwards")
    bpy.ops.ed.undo()
    assert [other.name for other in bpy.data.scenes] == ["Scene"]


def test_jobs_do_not_go_over_to_another_file(scene: bpy.types.Scene, module: Modules) -> None:
    """Trying one again would place its sound in the other file's scene of the same name."""
    scene.omniaudio.folder = "/dev/null/nowhere"
    small_scene(scene)
    says("No files can be written")
    assert list(module("core.job").jobs)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    assert not list(module("core.job").jobs)


@pytest.mark.parametrize("ended", ["cancel", "close"])
def test_one_that_is_ended_while_its_sound_is_rotated_leaves_no_files(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules, ended: str
) -> None:
    saved(tmp_path)
    scene.omniaudio.anchor = "WORLD"
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    generate = module("workflows.generate").generate
    job = module("core.job").BlenderJob("video", lambda cancelled: generate(snapshot, False, cancelled))
    while not list(tmp_path.glob("*.json")):  # the take is made, and goes on to be turned
        assert not job.step(), job.error
        time.sleep(0.005)
    getattr(job, ended)()
    finish(job)
    assert job.state == "cancelled"
    time.sleep(1.0)  # the service's side ends in a thread of its own
    assert {path.name for path in tmp_path.iterdir()} == {"scene.blend"}


def test_a_switch_that_cannot_be_made_for_all_takes_is_made_for_none(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    saved(tmp_path)
    scene.omniaudio.takes, scene.omniaudio.anchor = 2, "WORLD"
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    first, second = of_role(scene, "master")
    Path(bpy.path.abspath(second["omniaudio"]["camera_sound"])).unlink()
    with pytest.raises(RuntimeError, match=r"The head-locked sound of .* is missing"):
        bpy.ops.omniaudio.set_anchor(anchor="CAMERA")
    assert [strip["omniaudio"]["anchor"] for strip in (first, second)] == ["WORLD", "WORLD"]
