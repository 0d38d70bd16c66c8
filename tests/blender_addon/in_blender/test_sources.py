"""Which clip is meant: the strip with its trims, offsets and speed; the range; the scene; a file."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import bpy
import pytest

from support.paths import FOOTAGE

Modules = Callable[[str], ModuleType]
Numbered = Callable[..., list[Path]]


def chosen(module: Modules, source: str = "STRIP") -> object:
    bpy.context.scene.omniaudio.source = source
    return module("workflows.snapshot").take_snapshot(bpy.context)


def says(module: Modules, message: str, source: str = "STRIP") -> None:
    with pytest.raises(module("core.errors").UserError, match=message) as error:
        chosen(module, source)
    assert error.value.message.endswith(".")


def add_effect(scene: bpy.types.Scene, kind: str, strip: bpy.types.Strip | None = None) -> bpy.types.Strip:
    length = {"length" if bpy.app.version >= (5, 0) else "frame_end": 100}
    first = {} if strip is None else {"input1": strip}
    channel = 1 + max((s.channel for s in scene.sequence_editor.strips), default=0)
    return scene.sequence_editor.strips.new_effect(kind.lower(), kind, channel, 11, **length, **first)


def test_a_video_strip_is_the_part_of_its_file_that_it_shows(module: Modules, video: bpy.types.Strip) -> None:
    video.frame_offset_start, video.frame_offset_end = 60, 1202 - 60 - 45
    snapshot = chosen(module)
    assert snapshot.source == module("sequencer.sources").Footage(FOOTAGE, module("core.frames").FileSpan(2.0, 1.5))
    assert (snapshot.place, snapshot.rate) == (module("core.frames").Placement(71, 45), Fraction(30))
    assert (snapshot.title, snapshot.chosen, snapshot.stem) == ("video", "STRIP", FOOTAGE.stem)
    assert snapshot.under == module("sequencer.sources").ClipStrip("video", 11)
    video.animation_offset_start = 30  # cut off for good
    assert chosen(module).source.part.start == 3.0


def test_a_strip_of_one_frame(module: Modules, video: bpy.types.Strip) -> None:
    video.frame_offset_end = 1201
    snapshot = chosen(module)
    assert (snapshot.place.frames, snapshot.source.part.duration) == (1, pytest.approx(1 / 30))


def in_a_meta_strip(scene: bpy.types.Scene, video: bpy.types.Strip) -> None:
    video.move_to_meta(scene.sequence_editor.strips.new_meta("scene 1", 2, 11))
    scene.sequence_editor.strips["scene 1"].frame_final_duration = 100


CHANGES = {
    "another speed": lambda scene, video: setattr(scene.render, "fps", 24),
    "reversed": lambda scene, video: setattr(video, "use_reverse_frames", True),
    "mirrored": lambda scene, video: setattr(video, "use_flip_x", True),
    "upside down": lambda scene, video: setattr(video.transform, "rotation", 3.14159),
    "a speed effect": lambda scene, video: add_effect(scene, "SPEED", video),
    "in a meta strip": in_a_meta_strip,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_plays_otherwise_than_its_file_is_rendered(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, change: str
) -> None:
    CHANGES[change](scene, video)
    scene.sequence_editor.active_strip = video
    snapshot = chosen(module)
    step = int(scene.render.fps / 8)
    assert snapshot.source == module("sequencer.sources").Sequence("video", 1024, step)
    assert snapshot.place == module("core.frames").Placement(11, 100 if change == "in a meta strip" else 1202)
    assert snapshot.stem == "video"


def test_a_retimed_video_is_rendered(module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip) -> None:
    """By the operator: `retiming_keys.add` crashes 4.5 and 5.0 without a window."""
    with module("blender_versions").editing(scene):
        if not bpy.ops.sequencer.retiming_segment_speed_set.poll():
            pytest.skip("this Blender retimes in a window alone")
        bpy.ops.sequencer.retiming_segment_speed_set(speed=200)
    snapshot = chosen(module)
    assert isinstance(snapshot.source, module("sequencer.sources").Sequence)
    assert snapshot.place.frames == pytest.approx(601, abs=1)


def test_a_meta_strip_that_hides_the_video_is_a_message(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip
) -> None:
    in_a_meta_strip(scene, video)
    video.frame_start = 5000
    scene.sequence_editor.active_strip = video
    says(module, "The meta strip around video shows nothing of it")


def test_an_image_strip_is_its_clip_and_a_sequence_of_images_is_rendered(
    module: Modules, scene: bpy.types.Scene, numbered_frames: Numbered
) -> None:
    files = numbered_frames(3)
    editor = scene.sequence_editor_create()
    still = editor.strips.new_image("still", str(files[1]), 1, 5)
    still.frame_final_duration = 48
    editor.active_strip = still
    snapshot = chosen(module)
    assert snapshot.source == module("sequencer.sources").Footage(files[1], module("core.frames").FileSpan(0.0, 2.0))
    assert snapshot.place == module("core.frames").Placement(5, 48)
    for file in files[2:]:
        still.elements.append(file.name)
    assert isinstance(chosen(module).source, module("sequencer.sources").Sequence)


def test_strips_that_cannot_be_used_are_messages(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, tmp_path: Path
) -> None:
    video.filepath = "//gone.mp4"
    says(module, r"The file of the strip video is missing: .*gone\.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    video.filepath = str(text)
    says(module, r"cannot read the video .*text\.mp4")
    scene.sequence_editor.active_strip = add_effect(scene, "COLOR")
    says(module, "Select a movie or image strip")
    scene.sequence_editor.active_strip = None
    says(module, "Select a movie or image strip")
    scene.sequence_editor_clear()
    says(module, "Select a movie or image strip")


def test_the_range_is_the_preview_range_or_else_the_scene_s(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip
) -> None:
    scene.frame_start, scene.frame_end = 1, 60
    snapshot = chosen(module, "RANGE")
    assert snapshot.source == module("sequencer.sources").Sequence(None, 1024, 3)
    assert (snapshot.place, snapshot.title, snapshot.under) == (module("core.frames").Placement(1, 60), "Scene", None)
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 20, 20
    assert chosen(module, "RANGE").place == module("core.frames").Placement(20, 1)
    scene.frame_preview_start = scene.frame_preview_end = 5
    says(module, "shows nothing from frame 5 to 5", "RANGE")
    scene.use_preview_range = False
    video.mute = True
    says(module, "shows nothing", "RANGE")
    scene.sequence_editor_clear()
    says(module, "shows nothing", "RANGE")


def test_the_scene_is_rendered_over_its_range(module: Modules, scene: bpy.types.Scene) -> None:
    scene.frame_start, scene.frame_end = 3, 50
    scene.omniaudio.width, scene.omniaudio.samples, scene.omniaudio.frames_per_second = 517, 4, 12
    snapshot = chosen(module, "SCENE")
    assert snapshot.source == module("sequencer.sources").Panorama(516, 4, 2)
    assert snapshot.place == module("core.frames").Placement(3, 48)
    assert snapshot.request.force
    scene.camera = None
    says(module, "has no camera", "SCENE")


def test_each_scene_has_its_own_clip(module: Modules, scene: bpy.types.Scene) -> None:
    other = bpy.data.scenes.new("other")
    other.render.fps, other.frame_start, other.frame_end = 60, 1, 10
    other.omniaudio.source, other.camera = "SCENE", scene.camera
    scene.omniaudio.source = "SCENE"
    first, second = (module("workflows.snapshot").take_snapshot(bpy.context, wanted) for wanted in (None, other))
    assert (first.scene, first.rate, first.place.frames) == ("Scene", 24, 250)
    assert (second.scene, second.rate, second.place.frames, second.source.frame_step) == ("other", 60, 10, 7)


def test_a_file_lies_at_the_current_frame(
    module: Modules, scene: bpy.types.Scene, video: bpy.types.Strip, numbered_frames: Numbered
) -> None:
    scene.render.fps = 24
    scene.frame_set(40)
    scene.omniaudio.file = str(FOOTAGE)
    snapshot = chosen(module, "FILE")
    assert snapshot.place == module("core.frames").Placement(40, 961)  # 1202 frames at 30 a second are 961.6
    span = module("core.frames").FileSpan(0.0, 961 / 24)
    assert snapshot.source == module("sequencer.sources").Footage(FOOTAGE, span)
    assert (snapshot.title, snapshot.under) == (FOOTAGE.stem, None)
    (image,) = numbered_frames(1)
    scene.omniaudio.file = str(image)
    snapshot = chosen(module, "FILE")
    assert snapshot.place == module("core.frames").Placement(40, 211)  # to the end of the scene
    assert snapshot.source.part == module("core.frames").FileSpan(0.0, 211 / 24)
    scene.omniaudio.file = "//gone.mp4"
    says(module, r"The file .*gone\.mp4 is missing", "FILE")
    scene.omniaudio.file = " "
    says(module, "Choose a file", "FILE")


def test_the_request_is_what_the_panel_says(module: Modules, scene: bpy.types.Scene, installed: str) -> None:
    settings = scene.omniaudio
    settings.seed, settings.takes, settings.anchor = 7, 3, "WORLD"
    request = chosen(module, "SCENE").request
    options = request.options
    assert (options.seed, options.takes, request.anchor, options.steps, options.guidance) == (7, 3, "WORLD", None, None)
    assert (options.model, options.backend, options.preview, options.map) == (None, "auto", True, True)
    settings.steps, settings.guidance_own, settings.guidance = 12, True, 2.5
    request = chosen(module, "SCENE").request
    assert (request.options.steps, request.options.guidance) == (12, 2.5)


def test_files_lie_beside_the_blend_or_in_a_folder_of_the_extension(
    module: Modules, scene: bpy.types.Scene, tmp_path: Path, installed: str
) -> None:
    unsaved = chosen(module, "SCENE")
    assert unsaved.folder == Path(bpy.utils.extension_path_user(installed, path="unsaved"))
    assert unsaved.stem == "Scene"
    assert module("workflows.snapshot").output_folder(" ") == unsaved.folder
    scene.omniaudio.folder = str(tmp_path / "elsewhere")
    assert chosen(module, "SCENE").folder == tmp_path / "elsewhere"
    name = "Überflug 森" * 12
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / f"{name}.blend"))
    scene.omniaudio.folder = "//sound"
    saved = chosen(module, "SCENE")
    assert saved.folder == tmp_path / "sound"
    assert name.startswith(saved.stem)
    assert 95 < len(saved.stem.encode()) <= 100


def test_a_folder_that_takes_no_files_is_a_message(module: Modules, tmp_path: Path) -> None:
    usable = module("workflows.snapshot").usable_folder
    assert usable(tmp_path / "new" / "sound").is_dir()
    file = tmp_path / "file"
    file.touch()
    closed = [file / "sound"]
    read_only = Path("/proc/1")  # for everybody, whatever the user may do
    if read_only.is_dir():
        closed.append(read_only)
    for folder in closed:
        with pytest.raises(module("core.errors").UserError, match="choose another"):
            usable(folder)
    assert list((tmp_path / "new" / "sound").iterdir()) == []
