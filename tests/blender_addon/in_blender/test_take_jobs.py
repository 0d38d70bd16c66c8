"""Jobs on a take, by the real service: regenerating, ranges, binaural, world-locked, direction maps, export."""

import json
import math
import os
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest

Modules = Callable[[str], ModuleType]


def of_role(scene: bpy.types.Scene, role: str) -> list[bpy.types.Strip]:
    """The strips of a role, in the order of their takes."""
    ours = [strip for strip in scene.sequence_editor.strips_all if strip.get("omniaudio", {}).get("role") == role]
    return sorted(ours, key=lambda strip: strip["omniaudio"]["number"])


def file_of(strip: bpy.types.Strip) -> Path:
    return Path(bpy.path.abspath(strip.sound.filepath))


def samples(file: Path) -> np.ndarray:
    """Of a 24-bit WAV: (samples, channels), as integers."""
    with wave.open(str(file)) as sound:
        channels, data = sound.getnchannels(), sound.readframes(sound.getnframes())
    whole = np.zeros((len(data) // 3, 4), np.uint8)
    whole[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return whole.view("<i4").reshape(-1, channels) >> 8


@pytest.fixture
def take(service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Strip:
    """A take of a second, whose clip is the active strip, in a file that was saved."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene.omniaudio.seed, scene.omniaudio.steps = 5, 4
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    return of_role(scene, "master")[0]


def reopened(folder: Path) -> bpy.types.Scene:
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "scene.blend"), load_ui=False)
    return bpy.context.scene


def test_regenerated_after_reopening_it_is_the_same_sound(take: bpy.types.Strip, tmp_path: Path) -> None:
    scene = reopened(tmp_path)
    scene.omniaudio.seed, scene.omniaudio.steps = 99, 9  # the panel's, which do not count
    assert bpy.ops.omniaudio.regenerate() == {"FINISHED"}
    first, second = of_role(scene, "master")
    assert file_of(first) != file_of(second)
    assert np.array_equal(samples(file_of(first)), samples(file_of(second)))
    assert len(of_role(scene, "group")) == 1


def test_another_take_is_another_sound_of_the_same_clip(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    assert bpy.ops.omniaudio.regenerate(new_seed=True) == {"FINISHED"}
    first, second = of_role(scene, "master")
    one, other = (strip["omniaudio"].to_dict() for strip in (first, second))
    assert one["options"]["seed"] == 5 != other["options"]["seed"]
    for name in ("clip", "clip_start", "clip_duration", "group"):
        assert one[name] == other[name], name
    assert {**one["options"], "seed": 0} == {**other["options"], "seed": 0}
    assert [strip.mute for strip in of_role(scene, "preview")] == [True, False]
    assert bpy.ops.omniaudio.use_take(master=first.name) == {"FINISHED"}
    assert [strip.mute for strip in of_role(scene, "preview")] == [False, True]


def test_changing_fills_the_panel_with_what_made_the_take(take: bpy.types.Strip, tmp_path: Path) -> None:
    scene = reopened(tmp_path)
    settings = scene.omniaudio
    settings.seed, settings.takes, settings.steps, settings.source, settings.guidance_own = 99, 4, 9, "SCENE", True
    scene.sequence_editor.active_strip = of_role(scene, "group")[0]
    assert bpy.ops.omniaudio.change_and_generate() == {"FINISHED"}
    assert (settings.seed, settings.takes, settings.steps) == (5, 1, 4)
    assert (settings.source, settings.model, settings.guidance_own) == ("STRIP", "draft", False)
    assert scene.sequence_editor.active_strip.name == "video"
    settings.seed = 6
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert [strip["omniaudio"]["options"]["seed"] for strip in of_role(scene, "master")] == [5, 6]


def test_a_clip_that_is_gone_is_a_message(take: bpy.types.Strip) -> None:
    kept = take["omniaudio"].to_dict()
    take["omniaudio"] = kept | {"clip": "//gone.mp4"}
    with pytest.raises(RuntimeError, match=r"gone\.mp4") as error:
        bpy.ops.omniaudio.regenerate()
    assert "Traceback" not in str(error.value)


def test_a_range_is_regenerated_and_the_rest_stays(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    settings = scene.omniaudio
    settings.range, settings.range_start, settings.range_end = "MARKED", 26, 33  # of 11 to 40
    assert bpy.ops.omniaudio.regenerate_range(seed=7) == {"FINISHED"}
    before, after = of_role(scene, "master")
    assert (after.frame_final_start, after.frame_final_duration) == (11, 30)
    old, new = samples(file_of(before)), samples(file_of(after))
    assert len(old) == len(new)
    with wave.open(str(file_of(before))) as sound:
        rate = sound.getframerate()
    changed = np.flatnonzero(np.any(old != new, axis=1)) / rate
    assert changed.size
    fade = 0.1
    assert 15 / 30 - fade <= changed[0]
    assert changed[-1] <= 23 / 30 + fade
    kept = after["omniaudio"].to_dict()
    assert (kept["inpainting_start"], kept["inpainting_duration"]) == pytest.approx((15 / 30, 8 / 30))


def test_a_part_is_as_far_down_as_the_strip_says_that_its_take_is(
    take: bpy.types.Strip, scene: bpy.types.Scene
) -> None:
    """A service that the take is uploaded to has no sidecar of it."""
    assert take["omniaudio"]["gain_db"] == json.loads(file_of(take).with_suffix(".json").read_text())["gain_db"]
    take["omniaudio"]["gain_db"] = -7.5
    scene.omniaudio.range_start, scene.omniaudio.range_end = 26, 33
    assert bpy.ops.omniaudio.regenerate_range(seed=7) == {"FINISHED"}
    made = of_role(scene, "master")[-1]
    assert json.loads(file_of(made).with_suffix(".json").read_text())["inpainting"]["gain_db"] == -7.5
    assert made["omniaudio"]["gain_db"] == -7.5  # of that take another range is inpainted at the same gain


def test_a_part_outside_of_the_take_is_refused(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    settings = scene.omniaudio
    settings.range, settings.range_start, settings.range_end = "MARKED", 100, 120
    with pytest.raises(RuntimeError, match="are outside of"):
        bpy.ops.omniaudio.regenerate_range()
    settings.range_start, settings.range_end = 30, 20
    with pytest.raises(RuntimeError, match="before it starts"):
        bpy.ops.omniaudio.regenerate_range()
    settings.range, scene.use_preview_range = "PREVIEW", False
    with pytest.raises(RuntimeError, match="no preview range"):
        bpy.ops.omniaudio.regenerate_range()


def test_marks_take_the_current_frame(scene: bpy.types.Scene) -> None:
    for frame, end in ((20, "START"), (24, "END")):
        scene.frame_current = frame
        assert bpy.ops.omniaudio.mark_range(end=end) == {"FINISHED"}
    assert (scene.omniaudio.range_start, scene.omniaudio.range_end) == (20, 24)


def test_the_world_s_sound_is_rotated_by_the_camera_and_back(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    """It is the camera's until that turns, wherever it looks; after a quarter to the left its front is the left."""
    for frame, degrees in ((11, 30), (25, 30), (26, 120), (41, 120)):
        scene.camera.rotation_euler.z = math.radians(degrees)
        scene.camera.keyframe_insert("rotation_euler", frame=frame)
    camera = file_of(take)
    assert bpy.ops.omniaudio.set_anchor(anchor="WORLD") == {"FINISHED"}
    assert take["omniaudio"]["anchor"] == "WORLD"
    world = file_of(take)
    assert world != camera
    ours, theirs = samples(camera).astype(float), samples(world).astype(float)
    tolerance = max(4, 1e-4 * np.sqrt(np.mean(ours**2)))
    before, after = len(ours) * 14 // 30, len(ours) * 16 // 30
    assert np.abs(theirs[:before] - ours[:before]).max() <= tolerance
    for channel, origin, sign in ((0, 0, 1), (1, 3, 1), (2, 2, 1), (3, 1, -1)):
        assert np.abs(theirs[after:, channel] - sign * ours[after:, origin]).max() <= tolerance, channel
    preview = file_of(of_role(scene, "preview")[0])
    assert "world" in preview.name
    assert bpy.ops.omniaudio.set_anchor(anchor="CAMERA") == {"FINISHED"}
    assert file_of(take) == camera
    assert file_of(of_role(scene, "preview")[0]) != preview


def test_sound_may_be_generated_for_the_world_at_once(
    service: None, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene.omniaudio.anchor, scene.omniaudio.takes = "WORLD", 2
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    masters = of_role(scene, "master")
    assert [strip["omniaudio"]["anchor"] for strip in masters] == ["WORLD", "WORLD"]
    assert len({file_of(strip) for strip in masters}) == 2
    for strip in masters:
        kept = strip["omniaudio"].to_dict()
        assert Path(bpy.path.abspath(kept["camera_sound"])).is_file()
        assert Path(bpy.path.abspath(kept["world_sound"])) == file_of(strip)


def test_a_rotated_head_hears_the_sound_from_the_other_side(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    preview = of_role(scene, "preview")[0]
    straight = samples(file_of(preview)).astype(float)
    scene.omniaudio.head_yaw = math.pi
    assert bpy.ops.omniaudio.binaural() == {"FINISHED"}
    rotated = samples(file_of(preview)).astype(float)
    assert rotated.shape == straight.shape
    assert preview["omniaudio"]["head_yaw"] == pytest.approx(180)
    assert not np.array_equal(rotated, straight)
    scene.omniaudio.head_yaw = 0
    assert bpy.ops.omniaudio.binaural() == {"FINISHED"}
    assert np.abs(samples(file_of(preview)) - straight).max() <= 4  # made of the take's 24 bits, no longer of floats


def test_the_map_lies_above_the_clip(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    assert bpy.ops.omniaudio.direction_map_video() == {"FINISHED"}
    assert bpy.ops.omniaudio.direction_map_image() == {"FINISHED"}
    video, image = (
        next(strip for strip in scene.sequence_editor.strips if strip.type == kind and strip.name != "video")
        for kind in ("MOVIE", "IMAGE")
    )
    group = of_role(scene, "group")[0]
    for strip in (video, image):
        assert (strip.frame_final_start, strip.frame_final_duration) == (11, 30)
        assert strip.channel > max(group.channel, scene.sequence_editor.strips["video"].channel)
    assert video.filepath.startswith("//")
    assert video.elements[0].orig_width > 0


@pytest.mark.parametrize(("codec", "suffix"), [("PCM", ".mov"), ("OPUS", ".mp4"), ("AAC", ".mp4")])
def test_the_video_is_exported_with_its_sound(
    take: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, codec: str, suffix: str
) -> None:
    scene.omniaudio.codec = codec
    before = {strip.name for strip in scene.sequence_editor.strips_all}
    assert bpy.ops.omniaudio.export() == {"FINISHED"}
    (video,) = tmp_path.glob(f"*_360_*{suffix}")
    data = video.read_bytes()
    assert b"SA3D" in data
    assert b"sv3d" in data
    assert {strip.name for strip in scene.sequence_editor.strips_all} == before


LOOKS = """
import av, json, numpy, sys
video, source = sys.argv[1:]
def frames(path):
    with av.open(path) as file:
        return [f.to_ndarray(format="gray")[::8, ::8].astype(float) for _, f in zip(range(30), file.decode(video=0))]
with av.open(video) as file:
    sound = sum(frame.samples for frame in file.decode(audio=0)) / file.streams.audio[0].rate
shown, all_of_it = frames(video), frames(source)
print(json.dumps([sound, [int(numpy.argmin([abs(one - a).mean() for a in all_of_it])) for one in shown]]))
"""
"""What a video has, by the service's Python: the seconds of its sound, and which frames of its source it shows."""


def test_what_the_handles_leave_is_exported(
    take: bpy.types.Strip, short_video: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    """Frames and sound alike: of 30 frames the 10 in the middle."""
    group = of_role(scene, "group")[0]
    group.frame_final_start += 10
    group.frame_final_end -= 10
    assert bpy.ops.omniaudio.export() == {"FINISHED"}
    (video,) = tmp_path.glob("*_360_*.mov")
    words = [os.environ["OMNIAUDIO_PYTHON"], "-c", LOOKS, str(video), bpy.path.abspath(short_video.filepath)]
    seconds, shown = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert seconds == pytest.approx(10 / 30, abs=0.001)
    assert shown == list(range(10, 20))
    assert not list(tmp_path.glob("part*"))


def test_the_scene_is_rendered_for_export(service: None, scene: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene.render.fps, scene.frame_start, scene.frame_end = 8, 3, 6
    scene.cycles.use_denoising = False
    settings = scene.omniaudio
    settings.width, settings.samples, settings.steps = 256, 1, 2
    assert bpy.ops.omniaudio.generate(source="SCENE") == {"FINISHED"}
    settings.export_frames, settings.export_width, settings.export_samples = "SCENE", 512, 1
    assert bpy.ops.omniaudio.export() == {"FINISHED"}
    (video,) = tmp_path.glob("*_360_*.mov")
    clip = bpy.data.movieclips.load(str(video))
    assert tuple(clip.size) == (512, 256)
    assert clip.frame_duration in (4, 5)
    sidecar = json.loads(next(tmp_path.glob("scene_*.json")).read_text())
    assert sidecar["options"]["steps"] == 2


def test_takes_that_were_deleted_are_a_message(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    editor = scene.sequence_editor
    editor.strips.remove(of_role(scene, "group")[0])
    assert editor.active_strip.name == "video"
    for name in (
        "regenerate",
        "regenerate_range",
        "change_and_generate",
        "use_take",
        "binaural",
        "export",
        "direction_map_video",
    ):
        with pytest.raises(RuntimeError, match="Select a strip that has takes") as error:
            getattr(bpy.ops.omniaudio, name)()
        assert "Traceback" not in str(error.value)


def test_a_part_to_the_end_in_the_preview_range(take: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    scene.omniaudio.range, scene.omniaudio.takes = "PREVIEW", 2
    scene.use_preview_range = True
    scene.frame_preview_start, scene.frame_preview_end = 30, 500  # the take ends with frame 40
    assert bpy.ops.omniaudio.regenerate_range() == {"FINISHED"}
    before, *after = of_role(scene, "master")
    assert len(after) == 2
    old, one, other = (samples(file_of(strip)) for strip in (before, *after))
    kept = round(len(old) * 18 / 30)
    for new in (one, other):
        assert np.array_equal(old[:kept], new[:kept])
        assert not np.array_equal(old[kept:], new[kept:])
    assert not np.array_equal(one, other)
    assert bpy.ops.omniaudio.regenerate() == {"FINISHED"}  # the part once more, since the last one is active
    repeated = of_role(scene, "master")[-2:]
    assert [np.array_equal(samples(file_of(r)), new) for r, new in zip(repeated, (one, other), strict=True)] == [
        True,
        True,
    ]
