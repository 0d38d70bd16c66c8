"""The sequence as a clip: what plays otherwise than its file, one strip alone, a range; and the user's settings.

The images' grey says their number; their left quarter is black.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest

Modules = Callable[[str], ModuleType]

COUNT = 8


@pytest.fixture
def numbered(scene: bpy.types.Scene, numbered_frames: Callable[..., list[Path]]) -> bpy.types.Strip:
    """Eight images, a frame each from frame 11 on channel 2, as the active strip of a scene that is not 2:1."""
    scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = 90, 90, 8
    scene.view_settings.view_transform = "Standard"
    files = numbered_frames(COUNT)
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_image("numbered", str(files[0]), 2, 11)
    for file in files[1:]:
        strip.elements.append(file.name)
    strip.frame_final_duration = COUNT
    editor.active_strip = strip
    return strip


def new_white(scene: bpy.types.Scene, start: int, frames: int) -> bpy.types.Strip:
    """A white strip above all others."""
    length = {"length": frames} if bpy.app.version >= (5, 0) else {"frame_end": start + frames}
    white = scene.sequence_editor.strips.new_effect("white", "COLOR", 5, start, **length)
    white.color = (1, 1, 1)
    return white


def snapshot_of(module: Modules, scene: bpy.types.Scene, source: str = "STRIP") -> object:
    scene.omniaudio.source = source
    return module("workflows.snapshot").take_snapshot(bpy.context)


def rendered(module: Modules, snapshot: object, target: Path) -> list[float]:
    """Renders into a video; the fractions that were done."""
    return list(
        module("render.rendering").render(
            snapshot.scene, snapshot.source, snapshot.place, target, blocking=True, cancelled=lambda: False
        )
    )


def images(module: Modules, scene: bpy.types.Scene, folder: Path, source: str = "STRIP") -> np.ndarray:
    """What is rendered, (frames, height, width) of grey from 0 to 1, from top to bottom; as images, not a video."""
    snapshot = snapshot_of(module, scene, source)
    assert isinstance(snapshot.source, module("sequencer.sources").Sequence)
    with module("render.sequence_render").sequence_scene(
        scene, snapshot.source, snapshot.place, folder / "x.mp4"
    ) as copy:
        if hasattr(copy.render.image_settings, "media_type"):
            copy.render.image_settings.media_type = "IMAGE"
        copy.render.image_settings.file_format = "PNG"
        copy.render.filepath = str(folder / "seen_")
        bpy.ops.render.render(animation=True, scene=copy.name)
    found = []
    for file in sorted(folder.glob("seen_*.png")):
        image = bpy.data.images.load(str(file))
        width, height = image.size
        found.append(np.array(image.pixels[:]).reshape(height, width, 4)[::-1, :, 0])
        bpy.data.images.remove(image)
        file.unlink()
    return np.stack(found)


def numbers(found: np.ndarray) -> list[int]:
    """Which of the numbered images each is, by its grey right of the middle; -1 is black."""
    return [round(float(image[:, 40:60].mean()) * (COUNT + 2)) - 2 for image in found]


def test_an_image_sequence_fills_the_clip(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    found = images(module, scene, tmp_path)
    assert found.shape == (COUNT, 32, 64)
    assert numbers(found) == list(range(COUNT))
    assert found[:, :, :14].max() < 0.02
    assert np.ptp(found[5, :, 20:]) < 0.02


def test_a_part_of_it_at_fewer_frames_a_second(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    numbered.frame_offset_start, numbered.frame_offset_end = 1, 2
    scene.omniaudio.frames_per_second = 4.0
    assert numbers(images(module, scene, tmp_path)) == [1, 3, 5]


def test_reversed_mirrored_and_upside_down(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    numbered.use_reverse_frames = True
    assert numbers(images(module, scene, tmp_path)) == list(reversed(range(COUNT)))
    numbered.use_reverse_frames = False
    numbered.use_flip_x = True
    mirrored = images(module, scene, tmp_path)
    assert mirrored[:, :, 50:].max() < 0.02
    assert mirrored[:, :, :46].min() > 0.1
    numbered.use_flip_x, numbered.transform.rotation = False, np.pi
    assert images(module, scene, tmp_path)[:, :, 50:].max() < 0.02


def test_the_strip_is_shown_alone_whatever_lies_over_it(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    editor = scene.sequence_editor
    white = new_white(scene, 1, 100)
    numbered.mute = editor.channels[2].mute = True
    assert numbers(images(module, scene, tmp_path)) == list(range(COUNT))
    assert (white.mute, numbered.mute, editor.channels[2].mute) == (False, True, True)


def test_a_strip_in_a_meta_strip_that_is_trimmed_and_muted(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    numbered.select = True
    with module("blender_versions").editing(scene):
        bpy.ops.sequencer.meta_make()
    meta = numbered.parent_meta()
    meta.frame_offset_start, meta.frame_offset_end, meta.mute = 1, 3, True
    scene.sequence_editor.active_strip = numbered
    snapshot = snapshot_of(module, scene)
    assert snapshot.place == module("core.frames").Placement(12, 4)
    assert numbers(images(module, scene, tmp_path)) == [1, 2, 3, 4]


def test_a_speed_effect_is_seen(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    length = {"length" if bpy.app.version >= (5, 0) else "frame_end": 19}
    effect = scene.sequence_editor.strips.new_effect("speed", "SPEED", 3, 11, input1=numbered, **length)
    effect.speed_control, effect.speed_factor, effect.use_frame_interpolate = "MULTIPLY", 2.0, False
    scene.sequence_editor.active_strip = numbered
    found = numbers(images(module, scene, tmp_path))
    assert (found[0], found[1], found[3]) == (0, 2, 6)  # 5.2 is a frame late now and then


def test_the_range_is_what_is_seen_together(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 1000, 500
    new_white(scene, 14, 3)
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 13, 15
    numbered.transform.scale_x = numbered.transform.scale_y = 20
    scene.omniaudio.width = 300
    found = images(module, scene, tmp_path, "RANGE")
    assert found.shape == (3, 150, 300)
    middles = found[:, 70:80, 200:220].mean((1, 2))
    assert middles == pytest.approx([4 / 10, 1, 1], abs=0.02)


def test_the_video_has_the_scene_s_time_and_the_settings_are_as_before(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    scene.render.fps, scene.render.fps_base = 24, 1.001
    scene.frame_set(3)
    numbered.use_flip_x = True
    snapshot = snapshot_of(module, scene)
    before = settings_of(scene)
    target = tmp_path / "sequence.mp4"
    assert rendered(module, snapshot, target)[-1] == 1.0
    assert settings_of(scene) == before
    clip = bpy.data.movieclips.load(str(target))
    assert (clip.frame_duration, tuple(clip.size)) == (3, (64, 32))
    assert clip.fps == pytest.approx(24 / 1.001 / 3, rel=1e-4)
    bpy.data.movieclips.remove(clip)


def settings_of(scene: bpy.types.Scene) -> dict[str, object]:
    """All plain properties of the scene, of what it renders and of its strips."""
    owners = {
        "scene": scene,
        "render": scene.render,
        "image": scene.render.image_settings,
        "video": scene.render.ffmpeg,
    }
    for strip in scene.sequence_editor.strips_all:
        owners |= {strip.name: strip}
        owners |= {f"{strip.name} transform": strip.transform} if hasattr(strip, "transform") else {}
    found: dict[str, object] = {"scenes": sorted(scene.name for scene in bpy.data.scenes)}
    for of, owner in owners.items():
        for name in owner.bl_rna.properties.keys():  # noqa: SIM118 (a collection of Blender's, not a dict)
            value = getattr(owner, name, None)
            if isinstance(value, (bool, int, float, str)):
                found[f"{of}.{name}"] = value
    return found


def test_what_is_gone_when_it_is_to_be_rendered_is_a_message(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    snapshot = snapshot_of(module, scene)
    user_error = module("core.errors").UserError
    target = tmp_path / "sequence.mp4"
    scene.sequence_editor.strips.remove(numbered)
    with pytest.raises(user_error, match="The strip numbered is gone"):
        rendered(module, snapshot, target)
    scene.sequence_editor_clear()
    with pytest.raises(user_error, match="no longer has a sequence"):
        rendered(module, snapshot, target)
    assert [s.name for s in bpy.data.scenes] == ["Scene"]
    assert not target.exists()


def test_an_odd_clip_is_rendered_at_an_even_size(
    module: Modules, scene: bpy.types.Scene, numbered: bpy.types.Strip, tmp_path: Path
) -> None:
    """H.264 takes no other."""
    scene.render.resolution_x, scene.render.resolution_y = 1281, 641
    scene.frame_start, scene.frame_end = 11, 12
    target = tmp_path / "sequence.mp4"
    rendered(module, snapshot_of(module, scene, "RANGE"), target)
    clip = bpy.data.movieclips.load(str(target))
    assert tuple(clip.size) == (960, 480)  # three quarters
    bpy.data.movieclips.remove(clip)
