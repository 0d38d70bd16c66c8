"""Placing a take: to the frame, on free channels, unchanged, and still there after saving."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest

Modules = Callable[[str], ModuleType]
RATES = [(12, 1.0), (24, 1.0), (24, 1.001), (25, 1.0), (30, 1.0), (30, 1.001), (60, 1.001)]


def make_take(module: Modules, write_wav: Callable[..., Path], seconds: float) -> object:
    return module("engine").Take(
        write_wav("take_001.wav", 4, seconds),
        write_wav("take_001.preview.wav", 2, seconds),
        None,
        Path("take_001.json"),
    )


@pytest.mark.parametrize(("fps", "base"), RATES)
@pytest.mark.parametrize(("start", "frames"), [(1, 240), (-37, 101), (4321, 7)])
def test_strips_lie_exactly_where_the_picture_does(
    module: Modules,
    scene: bpy.types.Scene,
    write_wav: Callable[..., Path],
    fps: int,
    base: float,
    start: int,
    frames: int,
) -> None:
    scene.render.fps, scene.render.fps_base = fps, base
    place = module("frames").Placement(start, frames)
    seconds = float(frames / module("frames").frame_rate(scene.render.fps, scene.render.fps_base))
    inserted = module("strips").insert_take(scene, make_take(module, write_wav, seconds), place, "shot", {"seed": 3})
    for name in (inserted.master, inserted.preview):
        strip = scene.sequence_editor.strips[name]
        assert (strip.frame_final_start, strip.frame_final_duration) == (start, frames)


def test_the_master_is_kept_and_the_preview_is_heard(
    module: Modules, scene: bpy.types.Scene, write_wav: Callable[..., Path]
) -> None:
    place = module("frames").Placement(1, 24)
    take = make_take(module, write_wav, 1.0)
    first = module("strips").insert_take(scene, take, place, "shot", {"seed": 3})
    second = module("strips").insert_take(scene, take, place, "shot", {"seed": 4})
    strips = scene.sequence_editor.strips
    master, preview = strips[first.master], strips[first.preview]
    assert (master.mute, master.lock, preview.mute, preview.lock) == (True, True, False, False)
    assert (master.sound.channels, preview.sound.channels) == ("CHANNELS_4", "STEREO")
    assert master.color_tag != preview.color_tag != "NONE"
    assert "AmbiX" in master.name
    assert master["omniaudio"].to_dict() == {"seed": 3, "role": "master"}
    assert sorted(strip.channel for strip in strips) == [1, 2, 3, 4]
    assert strips[second.master]["omniaudio"]["seed"] == 4


def test_occupied_and_locked_channels_are_left_alone(
    module: Modules, scene: bpy.types.Scene, write_wav: Callable[..., Path]
) -> None:
    editor = scene.sequence_editor_create()
    sound = write_wav("other.wav", 2, 1.0)
    editor.strips.new_sound("in the way", str(sound), 1, 20)
    editor.strips.new_sound("long before", str(sound), 3, -50)
    editor.channels[2].lock = True
    inserted = module("strips").insert_take(
        scene, make_take(module, write_wav, 1.0), module("frames").Placement(1, 24), "shot", {}
    )
    assert [editor.strips[name].channel for name in (inserted.preview, inserted.master)] == [3, 4]
    assert editor.strips["in the way"].frame_final_start == 20


def test_a_file_that_is_no_ambisonic_sound_inserts_nothing(
    module: Modules, scene: bpy.types.Scene, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    good = write_wav("preview.wav", 2, 1.0)
    take = module("engine").Take(broken, good, None, tmp_path / "x.json")
    with pytest.raises(module("errors").UserError, match=r"broken\.wav"):
        module("strips").insert_take(scene, take, module("frames").Placement(1, 24), "shot", {})
    assert len(scene.sequence_editor.strips) == 0


def test_paths_and_properties_outlive_saving_and_moving(
    module: Modules, scene: bpy.types.Scene, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    take = make_take(module, write_wav, 1.0)
    moved = module("engine").Take(here / "take.wav", here / "take.preview.wav", None, here / "take.json")
    take.ambix.rename(moved.ambix)
    take.preview.rename(moved.preview)
    bpy.ops.wm.save_as_mainfile(filepath=str(here / "film.blend"))
    inserted = module("strips").insert_take(
        scene, moved, module("frames").Placement(3, 24), "shot", {"sidecar": "//take.json", "seed": 5}
    )
    bpy.ops.wm.save_mainfile()
    here.rename(there)
    bpy.ops.wm.open_mainfile(filepath=str(there / "film.blend"), load_ui=False)
    master = bpy.context.scene.sequence_editor.strips[inserted.master]
    assert master.sound.filepath == "//take.wav"
    assert (master.frame_final_start, master.mute, master.lock) == (3, True, True)
    assert master["omniaudio"].to_dict() == {"sidecar": "//take.json", "seed": 5, "role": "master"}
    assert master.sound.channels == "CHANNELS_4"


def test_the_master_comes_out_of_blender_as_it_went_in(
    module: Modules, scene: bpy.types.Scene, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    scene.render.fps = 25
    scene.frame_start, scene.frame_end = 1, 50
    take = make_take(module, write_wav, 2.0)
    inserted = module("strips").insert_take(scene, take, module("frames").Placement(1, 50), "shot", {})
    strips = scene.sequence_editor.strips
    strips[inserted.master].mute, strips[inserted.preview].mute = False, True
    out = tmp_path / "mixdown.wav"
    bpy.ops.sound.mixdown(
        filepath=str(out), container="WAV", codec="PCM", format="F32", channels="SURROUND4", mixrate=44100
    )
    went_in = np.frombuffer(take.ambix.read_bytes()[44:], np.uint8).reshape(-1, 3)
    whole = np.zeros((len(went_in), 4), np.uint8)
    whole[:, 1:] = went_in
    wanted = whole.view("<i4").reshape(-1, 4) / 2.0**31
    data = out.read_bytes()
    came_out = np.frombuffer(data[data.index(b"data") + 8 :], "<f4")
    came_out = came_out[: len(came_out) // 4 * 4].reshape(-1, 4)
    assert 0 <= len(came_out) - len(wanted) <= 1024  # Blender fills its last buffer
    assert np.abs(came_out[: len(wanted)] - wanted).max() < 2.0**-24
