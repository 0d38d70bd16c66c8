"""What Blender's versions from 4.5 on call differently, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from .frames import Placement

# 5.1 renamed the sequencer's attributes; the old names warn since, and go in 6.0.
_NEW_NAMES = {
    "frame_final_start": "left_handle",
    "frame_final_duration": "duration",
    "frame_start": "content_start",
    "frame_duration": "content_duration",
    "animation_offset_start": "content_trim_start",
    "animation_offset_end": "content_trim_end",
}


def _name(old: str) -> str:
    new = _NEW_NAMES[old]
    return new if new in bpy.types.MovieStrip.bl_rna.properties else old


def place_of(strip: bpy.types.Strip) -> Placement:
    """Where the strip is shown: between its handles."""
    return Placement(getattr(strip, _name("frame_final_start")), getattr(strip, _name("frame_final_duration")))


def set_length(strip: bpy.types.Strip, frames: int) -> None:
    """Moves the right handle, so that the strip is shown for so long."""
    setattr(strip, _name("frame_final_duration"), frames)


def content_of(strip: bpy.types.Strip) -> Placement:
    """Where the whole content would be shown, which the handles show a part of."""
    return Placement(round(getattr(strip, _name("frame_start"))), getattr(strip, _name("frame_duration")))


def move_to(strip: bpy.types.Strip, frame: int) -> None:
    """Moves the strip, and what is in it, so that its content begins at `frame`."""
    setattr(strip, _name("frame_start"), frame)


def cut_of(strip: bpy.types.Strip) -> tuple[int, int]:
    """How many frames of the file are cut off for good, at the beginning and at the end."""
    return getattr(strip, _name("animation_offset_start")), getattr(strip, _name("animation_offset_end"))


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequence is edited: 5.0 and later let it differ from the window's scene, or be unset."""
    return getattr(context, "sequencer_scene", None) or context.scene


def show_sequence(context: bpy.types.Context) -> None:
    """Has the sequencer show the scene that `sequencer_scene` fell back to, else new strips are not seen."""
    if getattr(context.workspace, "sequencer_scene", context.scene) is None:
        context.workspace.sequencer_scene = context.scene


@contextmanager
def editing(scene: bpy.types.Scene) -> Iterator[None]:
    """Has the sequencer's operators work on this scene, whatever the window shows."""
    with_name = "sequencer_scene" in bpy.types.WorkSpace.bl_rna.properties  # 5.0 and later
    with bpy.context.temp_override(scene=scene, **({"sequencer_scene": scene} if with_name else {})):
        yield


def write_video(scene: bpy.types.Scene) -> None:
    """Has the scene render into a video file."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # 5.0 and later
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
