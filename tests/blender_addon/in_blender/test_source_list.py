"""What sounds, as a list with the strip or the scene: detected, corrected, kept, and taken by the next sound."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]


@pytest.fixture
def still(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Strip:
    """A grey panorama, in which nothing sounds, as the active strip for a second, in a saved file."""
    grey = bpy.data.images.new("grey", 256, 128)
    grey.filepath_raw, grey.file_format = str(tmp_path / "grey.png"), "PNG"
    grey.save()
    scene.render.fps = 24
    editor = scene.sequence_editor_create()
    editor.active_strip = editor.strips.new_image("still", str(tmp_path / "grey.png"), 1, 1)
    editor.active_strip.frame_final_duration = 24
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    return editor.active_strip


def the_strip(name: str = "still") -> bpy.types.Strip:
    """After undoing or loading there is a new one."""
    return bpy.context.scene.sequence_editor.strips[name]


def kinds_of(found: object) -> list[str]:
    return [entry.kind for entry in found.entries]


def masters(scene: bpy.types.Scene) -> list[bpy.types.Strip]:
    ours = [strip for strip in scene.sequence_editor.strips_all if strip.get("omniaudio", {}).get("role") == "master"]
    return sorted(ours, key=lambda strip: strip["omniaudio"]["number"])


def sidecar_of(master: bpy.types.Strip) -> dict[str, object]:
    return json.loads(Path(bpy.path.abspath(master["omniaudio"]["sidecar"])).read_text())


def bytes_of(master: bpy.types.Strip) -> bytes:
    return Path(bpy.path.abspath(master.sound.filepath)).read_bytes()


def test_what_sounds_in_a_video_is_listed_kept_and_undone_in_one_step(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.omniaudio.detect_sources("EXEC_DEFAULT", True) == {"FINISHED"}
    found = the_strip("video").omniaudio_sources
    listed = kinds_of(found)
    assert "ship" in listed[:-1]  # at a quay in Venice
    assert [entry.bed for entry in found.entries] == [False] * (len(listed) - 1) + [True]
    assert all(0 < entry.confidence <= 1 for entry in found.entries)
    assert any(abs(entry.azimuth) > 0.1 for entry in found.entries)
    assert {file.name for file in tmp_path.iterdir()} == {"scene.blend"}
    bpy.ops.ed.undo()
    assert not the_strip("video").omniaudio_sources.there
    bpy.ops.ed.redo()
    assert kinds_of(the_strip("video").omniaudio_sources) == listed
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert kinds_of(the_strip("video").omniaudio_sources) == listed
    assert masters(bpy.context.scene) == []


def test_where_nothing_sounds_there_is_a_bed_and_a_person_adds_what_does(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene
) -> None:
    assert bpy.ops.omniaudio.detect_sources() == {"FINISHED"}
    found = still.omniaudio_sources
    (bed,) = found.entries
    assert bed.bed
    bpy.ops.omniaudio.add_source(kind="dog")
    bpy.ops.omniaudio.add_source(kind="rain")  # of what surrounds the listener there is one
    assert [(entry.kind, entry.bed) for entry in found.entries] == [("dog", False), ("rain", True)]
    assert found.active == 1
    dog = found.entries[0]
    dog.azimuth, dog.elevation, dog.gain = math.radians(90), math.radians(10), -3.0
    scene.omniaudio.stems, scene.omniaudio.variation_own, scene.omniaudio.variation = True, True, 0.25
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    (master,) = masters(scene)
    detected = sidecar_of(master)
    (source,) = detected["sources"]["sources"]
    (place,) = source["path"]
    assert (source["kind"], source["gain"], place["azimuth"], place["elevation"]) == ("dog", -3.0, 90.0, 10.0)
    assert detected["sources"]["bed"]["kind"] == "rain"
    assert detected["options"]["variation"] == 0.25
    before = Path(bpy.path.abspath(master.sound.filepath)).stem
    files = {file.name.removeprefix(before) for file in Path(bpy.path.abspath("//")).glob(f"{before}.stem-*")}
    assert files == {".stem-1-dog.wav", ".stem-bed-rain.wav"}
    assert len(list(scene.sequence_editor.strips_all)) == 4  # the clip, the meta strip, the take: stems are files
    bpy.ops.omniaudio.clear_sources()  # a take remembers what made it
    scene.sequence_editor.active_strip = master
    assert bpy.ops.omniaudio.regenerate() == {"FINISHED"}
    repeated = masters(scene)[1]
    assert bytes_of(repeated) == bytes_of(master)
    assert bpy.ops.omniaudio.change_and_generate() == {"FINISHED"}
    found = still.omniaudio_sources
    assert [(entry.kind, round(math.degrees(entry.azimuth), 3)) for entry in found.entries] == [
        ("dog", 90),
        ("rain", 0),
    ]
    assert (scene.omniaudio.stems, scene.omniaudio.variation) == (True, 0.25)


def test_what_the_service_heard_is_listed_and_unchanged_it_makes_the_same_sound(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene
) -> None:
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert len(still.omniaudio_sources.entries) == 1
    assert masters(scene)[0]["omniaudio"]["sources"] == ""
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    first, second = masters(scene)
    assert json.loads(second["omniaudio"]["sources"]) == sidecar_of(first)["sources"]
    assert bytes_of(second) == bytes_of(first)
    bpy.ops.omniaudio.choose_kind(index=0, bed=True, kind="rain")
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert kinds_of(still.omniaudio_sources) == ["rain"]  # what a person chose stays
    assert bytes_of(masters(scene)[2]) != bytes_of(first)


def test_what_is_muted_is_silent_and_all_of_it_is_a_message(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene, module: Modules
) -> None:
    bpy.ops.omniaudio.add_source(kind="dog")
    still.omniaudio_sources.entries[0].mute = True
    with pytest.raises(RuntimeError) as error:
        bpy.ops.omniaudio.generate()
    assert "Nothing sounds: every source is muted" in str(error.value)
    assert masters(scene) == []


def test_a_kind_that_the_service_does_not_know_is_a_message(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene
) -> None:
    bpy.ops.omniaudio.add_source(kind="dog")
    still.omniaudio_sources.entries[0].kind = "dogg"
    with pytest.raises(RuntimeError) as error:
        bpy.ops.omniaudio.generate()
    assert "there is no kind “dogg”; did you mean “dog”?" in str(error.value)
    assert kinds_of(still.omniaudio_sources) == ["dogg"]


def test_each_correction_is_one_undo_step(still: bpy.types.Strip) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.omniaudio.add_source("EXEC_DEFAULT", True, kind="dog")
    bpy.ops.omniaudio.add_source("EXEC_DEFAULT", True, kind="cow")
    bpy.ops.omniaudio.choose_kind("EXEC_DEFAULT", True, index=0, kind="owl")
    bpy.ops.omniaudio.remove_source("EXEC_DEFAULT", True, index=1)
    for expected in (["owl", "cow"], ["dog", "cow"], ["dog"], []):
        bpy.ops.ed.undo()
        assert kinds_of(the_strip().omniaudio_sources) == expected
    assert not the_strip().omniaudio_sources.there


def test_what_cannot_be_corrected_is_a_message(still: bpy.types.Strip) -> None:
    assert not bpy.ops.omniaudio.remove_source.poll()
    bpy.ops.omniaudio.add_source(kind="dog")
    with pytest.raises(RuntimeError, match="comes from one direction; choose another kind"):
        bpy.ops.omniaudio.choose_kind(index=0, bed=True, kind="rain")
    with pytest.raises(RuntimeError, match="Select a source in the list"):
        bpy.ops.omniaudio.remove_source(index=7)
    bpy.context.scene.sequence_editor.active_strip = None
    assert not bpy.ops.omniaudio.add_source.poll()
    with pytest.raises(RuntimeError, match="Select a movie or image strip"):
        bpy.ops.omniaudio.detect_sources()


def test_a_list_is_not_used_for_another_clip_and_comes_back_with_its_own(
    still: bpy.types.Strip, scene: bpy.types.Scene, module: Modules
) -> None:
    def listed() -> str:
        return module("workflows.snapshot").take_snapshot(bpy.context).request.sources

    bpy.ops.omniaudio.add_source(kind="dog")
    assert json.loads(listed())["sources"][0]["kind"] == "dog"
    folder, own = Path(bpy.path.abspath(still.directory)), still.elements[0].filename
    (folder / "other.png").write_bytes((folder / own).read_bytes())
    still.elements[0].filename = "other.png"
    assert listed() == ""
    assert not bpy.ops.omniaudio.remove_source.poll()
    still.elements[0].filename = own
    still.use_flip_x = True  # left is right then
    assert listed() == ""
    still.use_flip_x = False
    assert json.loads(listed())["sources"][0]["kind"] == "dog"


def test_a_cancelled_detection_leaves_the_list_as_it_was(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene, module: Modules
) -> None:
    bpy.ops.omniaudio.add_source(kind="dog")
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    job = module("core.job").BlenderJob(
        "video", lambda cancelled: module("workflows.detect").detect(snapshot, False, cancelled)
    )
    assert not job.step()
    job.cancel()
    while not job.step():
        time.sleep(0.01)
    assert job.state == "cancelled"
    assert kinds_of(still.omniaudio_sources) == ["dog"]


def test_a_strip_that_is_gone_meanwhile_is_a_message(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene, module: Modules
) -> None:
    snapshot = module("workflows.snapshot").take_snapshot(bpy.context)
    job = module("core.job").BlenderJob(
        "video", lambda cancelled: module("workflows.detect").detect(snapshot, False, cancelled)
    )
    assert not job.step()
    scene.sequence_editor.strips.remove(still)
    while not job.step():
        time.sleep(0.01)
    assert job.error.message == "still is gone; nothing was listed."


def test_directions_are_the_clip_s_whatever_the_sound_follows(
    service: None, still: bpy.types.Strip, scene: bpy.types.Scene
) -> None:
    """Of a camera that lies on its side, so that the left of its panorama is the top of its world."""
    scene.camera.rotation_euler = (math.radians(90), math.radians(90), 0)
    bpy.ops.omniaudio.add_source(kind="dog")
    still.omniaudio_sources.entries[0].azimuth = math.radians(90)
    scene.omniaudio.anchor = "WORLD"
    for _ in range(2):  # the list that is used again means the same
        assert bpy.ops.omniaudio.generate() == {"FINISHED"}
        master = masters(scene)[-1]
        assert master["omniaudio"]["anchor"] == "WORLD"
        assert sidecar_of(master)["sources"]["sources"][0]["path"][0]["azimuth"] == 90.0
        scene.sequence_editor.active_strip = still
    assert round(math.degrees(still.omniaudio_sources.entries[0].azimuth), 3) == 90.0


def test_two_scenes_have_lists_of_their_own(still: bpy.types.Strip, scene: bpy.types.Scene, module: Modules) -> None:
    bpy.ops.omniaudio.add_source(kind="dog")
    scene.omniaudio.source = "SCENE"
    bpy.ops.omniaudio.add_source(kind="cow")
    other = scene.copy()
    list_of = module("props.source_list").list_of
    list_of(other, "SCENE").entries[0].kind = "owl"
    list_of(other, "STRIP", "still").entries[0].kind = "cat"
    assert [kinds_of(list_of(scene, chosen, "still")) for chosen in ("SCENE", "STRIP")] == [["cow"], ["dog"]]
    assert [kinds_of(list_of(other, chosen, "still")) for chosen in ("SCENE", "STRIP")] == [["owl"], ["cat"]]


def test_a_strip_that_is_cut_has_the_list_in_both_parts(still: bpy.types.Strip) -> None:
    bpy.ops.omniaudio.add_source(kind="dog")
    right = still.split(frame=13, split_method="SOFT")
    assert kinds_of(still.omniaudio_sources) == kinds_of(right.omniaudio_sources) == ["dog"]


def test_of_a_scene_few_frames_are_rendered(
    service: None, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 11, 130
    scene.omniaudio.source, scene.omniaudio.width, scene.omniaudio.samples = "SCENE", 256, 1
    rendered: list[int] = []

    def watch(scene: bpy.types.Scene, *_: object) -> None:
        rendered.append(scene.frame_current)

    bpy.app.handlers.render_write.append(watch)
    try:
        assert bpy.ops.omniaudio.detect_sources() == {"FINISHED"}
    finally:
        bpy.app.handlers.render_write.remove(watch)
    assert rendered == [31, 71, 111]  # in the middle of each third of five seconds
    found = scene.omniaudio.sources_scene
    assert (found.clip, found.first, found.last, found.rendered) == ("Camera", 11, 131, True)
    assert [file.name for file in tmp_path.iterdir()] == ["scene.blend"]
    scene.frame_end = 3000
    few = module("workflows.detect").few_frames(module("workflows.snapshot").take_snapshot(bpy.context))
    assert len(range(few.place.start, few.place.end, few.source.frame_step)) == 8


def test_times_are_the_scene_s_when_its_range_is_another_one(scene: bpy.types.Scene, module: Modules) -> None:
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 1, 240
    scene.omniaudio.source = "SCENE"
    lists = module("props.source_list")
    path = [{"time": t, "azimuth": 10 * t, "elevation": 0.0, "size": 20.0} for t in (0.0, 10.0)]
    detected = {"version": 1, "seconds": 10.0, "sources": [{"kind": "dog", "path": path}], "bed": None}
    lists.fill(scene.omniaudio.sources_scene, detected, lists.shown_clip(scene, "SCENE"))
    scene.frame_start = 25
    sent = json.loads(module("workflows.snapshot").take_snapshot(bpy.context).request.sources)
    assert sent["seconds"] == 9.0
    assert [(place["time"], place["azimuth"]) for place in sent["sources"][0]["path"]] == [(0.0, 10.0), (9.0, 100.0)]
