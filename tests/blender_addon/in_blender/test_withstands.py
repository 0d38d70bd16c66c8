"""What an artist does while sound is made, and where files lie that nobody thought of: nothing is lost, no trace."""

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]


def of_role(scene: bpy.types.Scene, role: str) -> list[bpy.types.Strip]:
    return [strip for strip in scene.sequence_editor.strips_all if strip.get("omniaudio", {}).get("role") == role]


def saved(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "film.blend"))


def started(module: Modules) -> object:
    """The work of the button, as the modal operator has it; its engine works on it already."""
    snapshot = module("snapshot").take_snapshot(bpy.context)
    generate = module("works.generate").generate
    work = module("work").Work(snapshot.title, lambda cancelled: generate(snapshot, False, cancelled))
    for _ in range(5):
        work.step()
    return work


def finish(work: object) -> None:
    while not work.step():
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["Töne 音 & film's “first” 100%", "/".join(3 * ["a" * 150])])
def test_names_of_every_kind(
    engine: None, short_film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, name: str
) -> None:
    saved(tmp_path / name)
    short_film.name = "ünïcödé 映画"
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    (master,) = of_role(scene, "master")
    assert Path(bpy.path.abspath(master.sound.filepath)).parent == tmp_path / name
    assert master.sound.filepath.startswith("//")
    assert bpy.ops.omniaudio.listen() == {"FINISHED"}


def test_a_range_of_one_frame(engine: None, scene: bpy.types.Scene, tmp_path: Path) -> None:
    saved(tmp_path)
    scene.frame_start = scene.frame_end = 7
    scene.omniaudio.width, scene.omniaudio.samples = 256, 1
    assert bpy.ops.omniaudio.generate(source="SCENE") == {"FINISHED"}
    (master,) = of_role(scene, "master")
    assert (master.frame_final_start, master.frame_final_duration) == (7, 1)


def test_the_picture_is_moved_while_its_sound_is_made(
    engine: None, short_film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    work = started(module)
    short_film.frame_start += 100
    finish(work)
    assert work.state == "done", work.error
    assert of_role(scene, "master")[0].frame_final_start == short_film.frame_final_start == 111


def test_the_picture_is_deleted_while_its_sound_is_made(
    engine: None, short_film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    work = started(module)
    scene.sequence_editor.strips.remove(short_film)
    finish(work)
    assert work.state == "done", work.error
    assert of_role(scene, "master")[0].frame_final_start == 11


def test_the_file_is_saved_and_the_work_undone_below_it(
    engine: None, short_film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Undo gives every object a new address; a work holds none."""
    saved(tmp_path)
    bpy.ops.ed.undo_push(message="before")
    scene.frame_current = 5
    bpy.ops.ed.undo_push(message="frame")
    work = started(module)
    bpy.ops.wm.save_mainfile()
    bpy.ops.ed.undo()
    finish(work)
    assert work.state == "done", work.error
    assert len(of_role(bpy.context.scene, "master")) == 1


def test_another_file_is_opened_meanwhile(
    engine: None, short_film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Blender cancels the operator then, which closes its work."""
    saved(tmp_path)
    work = started(module)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    work.close()
    assert work.state == "cancelled"
    assert bpy.context.scene.sequence_editor is None or not bpy.context.scene.sequence_editor.strips
    time.sleep(1.0)  # the engine's side ends in a thread of its own
    assert {path.name for path in tmp_path.iterdir()} == {"film.blend"}


def test_a_take_that_is_deleted_while_its_preview_is_made(
    engine: None, short_film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    (take,) = module("takes").takes_of(scene, short_film)
    listen = module("works.listen").listen
    work = module("work").Work("listen", lambda cancelled: listen(scene.name, take, 30.0, cancelled))
    work.step()
    scene.sequence_editor.strips.remove(of_role(scene, "group")[0])
    finish(work)
    assert work.state == "failed"
    assert "is gone; select another" in work.error.sentence


def test_a_deleted_source_is_a_sentence(engine: None, scene: bpy.types.Scene, tmp_path: Path, module: Modules) -> None:
    """The file goes after the press, before the engine looks at it."""
    picture = bpy.data.images.new("panorama", 256, 128)
    picture.filepath_raw, picture.file_format = str(tmp_path / "panorama.png"), "PNG"
    picture.save()
    editor = scene.sequence_editor_create()
    editor.active_strip = editor.strips.new_image("panorama", str(tmp_path / "panorama.png"), 1, 1)
    saved(tmp_path)
    snapshot = module("snapshot").take_snapshot(bpy.context)
    (tmp_path / "panorama.png").unlink()
    generate = module("works.generate").generate
    work = module("work").Work("gone", lambda cancelled: generate(snapshot, False, cancelled))
    finish(work)
    assert work.state == "failed"
    assert "panorama.png" in work.error.sentence
    assert not of_role(scene, "master")


def test_a_strip_that_is_turned_to_meanwhile_stays_the_active_one(
    engine: None, film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    saved(tmp_path)
    scene.frame_end = 2
    scene.omniaudio.source, scene.omniaudio.width, scene.omniaudio.samples = "SCENE", 256, 1
    editor = scene.sequence_editor
    snapshot = module("snapshot").take_snapshot(bpy.context)
    generate = module("works.generate").generate
    for turned_to, active in ((None, "Scene sound"), ("film", "film")):
        work = module("work").Work("scene", lambda cancelled: generate(snapshot, True, cancelled))
        work.step()
        editor.active_strip = editor.strips[turned_to] if turned_to else editor.active_strip
        finish(work)
        assert work.state == "done", work.error
        assert editor.active_strip.name == active
