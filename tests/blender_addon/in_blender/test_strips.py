"""Placing takes: to the frame, on free channels, in one meta strip, unchanged, and still there after saving."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest

from support.paths import FOOTAGE

Modules = Callable[[str], ModuleType]
Takes = Callable[..., object]

RATES = [(12, 1.0), (24, 1.001), (24, 1.0), (25, 1.0), (30, 1.001), (30, 1.0), (48, 1.0), (60, 1.001), (120, 1.0)]


def insert(module: Modules, scene: bpy.types.Scene, takes: list[object], start: int, frames: int, **more: object):
    """Takes at a place, as of a clip that is called shot."""
    made_by = module("core.provenance").Provenance(
        source="SCENE", options=module("omniaudio_client.options").GenerationOptions(model="draft")
    )
    place = module("core.frames").Placement(start, frames)
    return module("sequencer.strips").insert_takes(scene, takes, place, "shot", made_by, **more)


def place_of(module: Modules, strip: bpy.types.Strip) -> tuple[int, int]:
    place = module("blender_versions").place_of(strip)
    return place.start, place.frames


def kept(strip: bpy.types.Strip) -> dict[str, object]:
    return strip["omniaudio"].to_dict()


@pytest.mark.parametrize(("fps", "base"), RATES)
@pytest.mark.parametrize(("start", "frames"), [(1, 240), (-37, 101), (4321, 7), (5, 1)])
def test_strips_lie_exactly_where_the_clip_does(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, fps: int, base: float, start: int, frames: int
) -> None:
    scene.render.fps, scene.render.fps_base = fps, base
    seconds = float(frames / module("core.frames").frame_rate(scene.render.fps, scene.render.fps_base))
    inserted = insert(module, scene, [make_take(seconds)], start, frames)
    for name in (inserted.group, inserted.takes[0].master, inserted.takes[0].preview):
        assert place_of(module, scene.sequence_editor.strips_all[name]) == (start, frames)


def test_the_first_take_is_heard_and_the_masters_are_kept(
    module: Modules, scene: bpy.types.Scene, make_take: Takes
) -> None:
    takes = [make_take(1.0, f"take_{n}", n) for n in (1, 2, 3)]
    inserted = insert(module, scene, takes, 1, 24)
    editor = scene.sequence_editor
    assert [strip.name for strip in editor.strips] == [inserted.group] == ["shot sound"]
    group = editor.strips[inserted.group]
    assert sorted(strip.channel for strip in group.strips) == [1, 2, 3, 4, 5, 6]
    for n, names in enumerate(inserted.takes, 1):
        master, preview = group.strips[names.master], group.strips[names.preview]
        assert (names.master, names.preview) == (f"shot {n} AmbiX", f"shot {n} preview")
        assert (master.mute, master.lock, preview.mute, preview.lock) == (True, True, n > 1, False)
        assert (master.sound.channels, preview.sound.channels) == ("CHANNELS_4", "STEREO")
        assert len({"NONE", master.color_tag, preview.color_tag, group.color_tag}) == 4
        assert (kept(master)["role"], kept(preview)["role"]) == ("master", "preview")
        assert (kept(master)["take"], kept(master)["options"]["seed"], kept(master)["options"]["model"]) == (
            n,
            6 + n,
            "draft",
        )
        assert kept(master)["sidecar"].endswith(f"take_{n}.json")
        assert kept(master)["group"] == kept(preview)["group"] == kept(group)["group"] != ""


def test_takes_of_the_same_clip_join_those_that_are_there(
    module: Modules, scene: bpy.types.Scene, make_take: Takes
) -> None:
    first = insert(module, scene, [make_take(1.0, "a")], 1, 24)
    second = insert(module, scene, [make_take(1.0, "b")], 1, 24)
    elsewhere = insert(module, scene, [make_take(1.0, "c")], 100, 24)
    editor = scene.sequence_editor
    assert first.group == second.group != elsewhere.group
    assert [editor.strips_all[i.takes[0].preview].mute for i in (first, second, elsewhere)] == [True, False, False]
    assert kept(editor.strips[first.group])["group"] != kept(editor.strips[elsewhere.group])["group"]
    part = insert(module, scene, [make_take(0.5, "d")], 1, 12)  # of the same clip, when it was shorter
    assert part.group != first.group
    assert kept(editor.strips[part.group])["group"] == kept(editor.strips[first.group])["group"]
    assert editor.strips_all[second.takes[0].preview].mute, "two sounds of a clip would be heard"


def test_without_previews_the_masters_alone_are_placed(
    module: Modules, scene: bpy.types.Scene, make_take: Takes
) -> None:
    inserted = insert(module, scene, [make_take(1.0, preview=False)], 1, 24)
    (strip,) = scene.sequence_editor.strips[inserted.group].strips
    assert (strip.name, strip.mute, inserted.takes[0].preview) == ("shot 1 AmbiX", True, None)


def test_moved_cut_and_copied_all_takes_stay_together(
    module: Modules, scene: bpy.types.Scene, make_take: Takes
) -> None:
    """The masters are locked, and locked strips that lie side by side stay behind."""
    inserted = insert(module, scene, [make_take(1.0)], 1, 24)
    group = scene.sequence_editor.strips[inserted.group]
    module("blender_versions").move_to(group, 51)
    assert {place_of(module, strip) for strip in group.strips} == {(51, 24)}
    right = group.split(frame=61, split_method="SOFT")
    assert [place_of(module, strip) for strip in (group, right)] == [(51, 10), (61, 14)]
    assert [strip.type for strip in right.strips] == ["SOUND", "SOUND"]
    for half in (group, right):
        (take,) = module("sequencer.takes").takes_of(scene, half)
        assert (take.place.start, take.place.frames) == place_of(module, half)
        assert (take.content.start, take.content.frames) == (51, 24)


def test_occupied_muted_and_locked_channels_are_left_alone(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, write_wav: Callable[..., Path]
) -> None:
    editor = scene.sequence_editor_create()
    sound = write_wav("other.wav", 2, 1.0)
    editor.strips.new_sound("in the way", str(sound), 1, 20)
    editor.strips.new_sound("long before", str(sound), 4, -50)
    editor.channels[2].lock = editor.channels[3].mute = True
    inserted = insert(module, scene, [make_take(1.0)], 1, 24)
    assert editor.strips[inserted.group].channel == 4
    assert place_of(module, editor.strips["in the way"])[0] == 20


@pytest.fixture
def video(scene: bpy.types.Scene) -> bpy.types.Strip:
    """Footage on channel 3, from frame 11."""
    scene.render.fps = 30
    return scene.sequence_editor_create().strips.new_movie("video", str(FOOTAGE), 3, 11)


def under(module: Modules, strip: bpy.types.Strip) -> object:
    return module("sequencer.sources").ClipStrip(strip.name, module("blender_versions").content_of(strip).start)


def test_the_sound_lies_under_its_clip_and_is_connected_to_it(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, make_take: Takes, write_wav: Callable[..., Path]
) -> None:
    editor = scene.sequence_editor
    other = editor.strips.new_sound("other", str(write_wav("other.wav", 2, 1.0)), 9, 500)
    editor.active_strip = other
    for strip in editor.strips:
        strip.select = strip == other
    inserted = insert(module, scene, [make_take(1.0)], 11, 30, under=under(module, video))
    group = editor.strips[inserted.group]
    assert group.channel == video.channel - 1
    assert (editor.active_strip, [s.name for s in editor.strips_all if s.select]) == (other, ["other"])
    if hasattr(video, "connections"):
        assert list(video.connections) == [group]
    assert [take.master for take in module("sequencer.takes").takes_of(scene, video)] == [inserted.takes[0].master]
    video.name = "renamed"
    assert len(module("sequencer.takes").takes_of(scene, video)) == 1


def test_a_clip_that_was_moved_while_the_service_worked_gets_its_sound_where_it_is(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, make_take: Takes
) -> None:
    clip_strip = under(module, video)
    module("blender_versions").move_to(video, 111)
    inserted = insert(module, scene, [make_take(1.0)], 11, 30, under=clip_strip)
    assert place_of(module, scene.sequence_editor.strips[inserted.group]) == (111, 30)


def test_a_clip_that_was_deleted_or_grouped_while_the_service_worked_loses_nothing(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, make_take: Takes
) -> None:
    clip_strip = under(module, video)
    video.move_to_meta(scene.sequence_editor.strips.new_meta("scene 1", 5, 11))
    inserted = insert(module, scene, [make_take(1.0, "a")], 11, 30, under=clip_strip)
    assert [take.master for take in module("sequencer.takes").takes_of(scene, video)] == [inserted.takes[0].master]
    scene.sequence_editor_clear()
    inserted = insert(module, scene, [make_take(1.0, "b")], 11, 30, under=clip_strip)
    assert place_of(module, scene.sequence_editor.strips[inserted.group]) == (11, 30)


@pytest.mark.parametrize("broken", ["master", "preview", "missing"])
def test_a_file_that_is_not_what_it_should_be_inserts_nothing(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path, broken: str
) -> None:
    good, bad = make_take(1.0, "good"), make_take(1.0, "bad", 2)
    match broken:
        case "master":
            bad.ambix.write_bytes(b"RIFF")
        case "preview":
            bad = replace(bad, preview=bad.ambix)
        case _:
            bad.ambix.unlink()
    with pytest.raises(module("core.errors").UserError, match=r"bad\.wav"):
        insert(module, scene, [good, bad], 1, 24)
    assert len(scene.sequence_editor.strips_all) == 0
    assert len(bpy.data.sounds) == 0
    before = insert(module, scene, [good], 1, 24)
    with pytest.raises(module("core.errors").UserError, match=r"bad\.wav"):
        insert(module, scene, [bad], 1, 24)
    assert [s.name for s in scene.sequence_editor.strips] == [before.group]
    assert not scene.sequence_editor.strips_all[before.takes[0].preview].mute
    assert len(scene.sequence_editor.strips_all) == 3


def test_a_full_sequencer_is_a_message(module: Modules, scene: bpy.types.Scene, make_take: Takes) -> None:
    editor = scene.sequence_editor_create()
    for channel in editor.channels:
        channel.lock = True
    with pytest.raises(module("core.errors").UserError, match="no 1 free channels"):
        insert(module, scene, [make_take(1.0)], 1, 24)
    assert len(editor.strips) == 0


@pytest.mark.parametrize("name", ["Überflug 森の中 🌲", "x" * 120, "森" * 60])
def test_names_and_paths_of_any_kind(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name[:60] / name[:60] / name[:60]
    folder.mkdir(parents=True)
    take = make_take(1.0)
    ambix, preview = folder / f"{name[:60]}.wav", folder / f"{name[:60]}.preview.wav"
    take.ambix.rename(ambix)
    take.preview.rename(preview)
    take = replace(take, ambix=ambix, preview=preview)
    made_by = module("core.provenance").Provenance(clip=f"//{name}.mp4")
    place = module("core.frames").Placement(1, 24)
    inserted = module("sequencer.strips").insert_takes(scene, [take, take], place, name, made_by)
    strips = scene.sequence_editor.strips_all
    assert inserted.takes[0].master.endswith(" 1 AmbiX")
    assert inserted.takes[1].preview.endswith(" 2 preview")
    assert kept(strips[inserted.takes[0].master])["clip"] == f"//{name}.mp4"
    assert kept(strips[inserted.takes[0].master])["title"] == name
    assert [take.ambix for take in module("sequencer.takes").takes_of(scene, strips[inserted.group])] == [ambix, ambix]


def test_a_path_that_is_longer_than_blender_keeps_is_a_message(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path
) -> None:
    take = make_take(1.0)
    folder = Path(os.path.join(tmp_path, *["deep" * 50] * 6))
    folder.mkdir(parents=True)
    ambix = take.ambix.rename(folder / "take.wav")
    with pytest.raises(module("core.errors").UserError, match=r"does not read .*take\.wav"):
        insert(module, scene, [replace(take, ambix=ambix)], 1, 24)
    assert len(scene.sequence_editor.strips_all) == 0


def test_paths_and_provenance_outlive_saving_and_moving(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    take = make_take(1.0)
    moved = replace(take, **{name: here / getattr(take, name).name for name in ("ambix", "preview", "sidecar")})
    take.ambix.rename(moved.ambix)
    take.preview.rename(moved.preview)
    bpy.ops.wm.save_as_mainfile(filepath=str(here / "scene.blend"))
    inserted = insert(module, scene, [moved], 3, 24)
    before = module("sequencer.takes").takes_of(scene, scene.sequence_editor.strips[inserted.group])
    bpy.ops.wm.save_mainfile()
    here.rename(there)
    bpy.ops.wm.open_mainfile(filepath=str(there / "scene.blend"), load_ui=False)
    scene = bpy.context.scene
    master = scene.sequence_editor.strips_all[inserted.takes[0].master]
    assert master.sound.filepath == "//take_001.wav"
    assert kept(master)["sidecar"] == "//take_001.json"
    assert (place_of(module, master), master.mute, master.lock) == ((3, 24), True, True)
    assert master.sound.channels == "CHANNELS_4"
    (after,) = module("sequencer.takes").takes_of(scene, scene.sequence_editor.strips[inserted.group])
    assert after.ambix == there / "take_001.wav"
    assert replace(after, ambix=before[0].ambix, preview_file=before[0].preview_file) == before[0]


def test_packed_into_the_blend_the_sound_needs_no_file(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path
) -> None:
    take = make_take(2.0)
    wanted = samples_of(take.ambix)
    scene.render.fps, scene.frame_end = 25, 50
    inserted = insert(module, scene, [take], 1, 50)
    bpy.ops.file.pack_all()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "packed.blend"))
    take.ambix.unlink()
    take.preview.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "packed.blend"), load_ui=False)
    strips = bpy.context.scene.sequence_editor.strips_all
    master, preview = strips[inserted.takes[0].master], strips[inserted.takes[0].preview]
    assert (master.sound.channels, preview.sound.channels) == ("CHANNELS_4", "STEREO")
    master.mute, preview.mute = False, True
    assert np.abs(mixdown(tmp_path, len(wanted))[: len(wanted)] - wanted).max() < 2.0**-24


def test_one_undo_step_takes_all_of_it_away(module: Modules, scene: bpy.types.Scene, make_take: Takes) -> None:
    scene.sequence_editor_create()
    bpy.ops.ed.undo_push(message="before")
    insert(module, scene, [make_take(1.0, "a"), make_take(1.0, "b", 2)], 1, 24)
    bpy.ops.ed.undo_push(message="Generate Spatial Audio")
    names = sorted(strip.name for strip in scene.sequence_editor.strips_all)
    assert len(names) == 5
    bpy.ops.ed.undo()
    assert len(bpy.context.scene.sequence_editor.strips_all) == 0
    bpy.ops.ed.redo()
    assert sorted(strip.name for strip in bpy.context.scene.sequence_editor.strips_all) == names


@pytest.mark.skipif("sequencer_scene" not in bpy.types.WorkSpace.bl_rna.properties, reason="needs Blender 5.0 or later")
def test_it_does_not_matter_which_scene_the_sequencer_shows(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, make_take: Takes
) -> None:
    bpy.context.workspace.sequencer_scene = None
    insert(module, scene, [make_take(1.0, "a")], 11, 30, under=under(module, video))
    other = bpy.data.scenes.new("other")
    bpy.context.workspace.sequencer_scene = other
    insert(module, scene, [make_take(1.0, "b")], 11, 30, under=under(module, video))
    assert len(module("sequencer.takes").takes_of(scene, video)) == 2
    assert other.sequence_editor is None
    assert module("blender_versions").sequencer_scene(bpy.context) == other
    bpy.context.workspace.sequencer_scene = None
    module("blender_versions").show_sequence(bpy.context)
    assert bpy.context.workspace.sequencer_scene == scene


def test_a_sound_above_the_clip_hides_nothing(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path
) -> None:
    """A meta strip of sounds alone would be black if it replaced what lies below it."""
    length = {"length" if bpy.app.version >= (5, 0) else "frame_end": 24}
    white = scene.sequence_editor_create().strips.new_effect("white", "COLOR", 1, 1, **length)
    white.color = (1, 1, 1)
    insert(module, scene, [make_take(1.0)], 1, 24)
    scene.frame_start = scene.frame_end = 5
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.filepath = str(tmp_path / "seen_")
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    bpy.ops.render.render(animation=True, scene=scene.name)
    image = bpy.data.images.load(str(tmp_path / "seen_0005.png"))
    assert min(image.pixels[:]) > 0.99


def samples_of(file: Path) -> np.ndarray:
    """(samples, 4), full scale 1, of a 24-bit WAV."""
    bytes_of = np.frombuffer(file.read_bytes()[44:], np.uint8).reshape(-1, 3)
    whole = np.zeros((len(bytes_of), 4), np.uint8)
    whole[:, 1:] = bytes_of
    return whole.view("<i4").reshape(-1, 4) / 2.0**31


def mixdown(folder: Path, samples: int) -> np.ndarray:
    """What Blender makes of the scene's sound, in four channels; at least so many samples."""
    out = folder / "mixdown.wav"
    bpy.ops.sound.mixdown(
        filepath=str(out), container="WAV", codec="PCM", format="F32", channels="SURROUND4", mixrate=44100
    )
    patience = time.monotonic() + 10
    while not out.exists() or out.stat().st_size < samples * 16:  # 5.2 writes it in the background
        assert time.monotonic() < patience, "Blender wrote no mixdown"
        time.sleep(0.05)
    data = out.read_bytes()
    mixed = np.frombuffer(data[data.index(b"data") + 8 :], "<f4")
    return mixed[: len(mixed) // 4 * 4].reshape(-1, 4)


def test_the_master_comes_out_of_blender_as_it_went_in(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, tmp_path: Path
) -> None:
    scene.render.fps = 25
    scene.frame_start, scene.frame_end = 11, 60
    take = make_take(2.0)
    inserted = insert(module, scene, [take], 11, 50)
    strips = scene.sequence_editor.strips_all
    strips[inserted.takes[0].master].mute, strips[inserted.takes[0].preview].mute = False, True
    wanted = samples_of(take.ambix)
    came_out = mixdown(tmp_path, len(wanted))
    assert 0 <= len(came_out) - len(wanted) <= 1024  # Blender fills its last buffer
    assert np.abs(came_out[: len(wanted)] - wanted).max() < 2.0**-24
