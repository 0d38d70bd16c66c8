"""What Blender's versions from 4.5 on name differently, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from .core.frames import Placement

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
    """The strip's frames between its handles."""
    return Placement(getattr(strip, _name("frame_final_start")), getattr(strip, _name("frame_final_duration")))


def shown_place(strip: bpy.types.Strip) -> Placement:
    """The strip's frames between its handles and those of the meta strips around it."""
    place, meta = place_of(strip), strip.parent_meta()
    while meta is not None:
        place, meta = place.common(place_of(meta)), meta.parent_meta()
    return place


def set_length(strip: bpy.types.Strip, frames: int) -> None:
    """Moves the right handle so that the strip is `frames` long."""
    setattr(strip, _name("frame_final_duration"), frames)


def content_of(strip: bpy.types.Strip) -> Placement:
    """The frames of the whole content, handles ignored."""
    return Placement(round(getattr(strip, _name("frame_start"))), getattr(strip, _name("frame_duration")))


def move_to(strip: bpy.types.Strip, frame: int) -> None:
    """Moves the strip with everything in it so that its content begins at `frame`."""
    setattr(strip, _name("frame_start"), frame)


def cut_of(strip: bpy.types.Strip) -> tuple[int, int]:
    """How many frames of the file are trimmed off permanently (hard cut), at its start and at its end."""
    return getattr(strip, _name("animation_offset_start")), getattr(strip, _name("animation_offset_end"))


def connected_to(strip: bpy.types.Strip) -> list[bpy.types.Strip]:
    """The strips that a click selects together with this one.

    5.0 and earlier have no such list; there, the sound that Blender adds with a movie strip, at the same frame.
    """
    if hasattr(strip, "connections"):
        return list(strip.connections)
    if strip.type != "MOVIE":
        return []
    file = bpy.path.abspath(strip.filepath)
    return [
        other
        for other in strip.id_data.sequence_editor.strips
        if other.type == "SOUND"
        and other.sound is not None
        and bpy.path.abspath(other.sound.filepath) == file
        and place_of(other).start == place_of(strip).start
    ]


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequence is edited. In 5.0 and later it may differ from the window's scene, or be unset."""
    return getattr(context, "sequencer_scene", None) or context.scene


def show_sequence(context: bpy.types.Context) -> None:
    """Makes the sequencer show the scene that `sequencer_scene` fell back to; otherwise new strips are invisible."""
    if getattr(context.workspace, "sequencer_scene", context.scene) is None:
        context.workspace.sequencer_scene = context.scene


@contextmanager
def editing(scene: bpy.types.Scene) -> Iterator[None]:
    """Makes the sequencer's operators act on this scene, whatever the window shows."""
    with_name = "sequencer_scene" in bpy.types.WorkSpace.bl_rna.properties  # 5.0 and later
    with bpy.context.temp_override(scene=scene, **({"sequencer_scene": scene} if with_name else {})):
        yield


def render_into(scene: bpy.types.Scene, target: Path) -> None:
    """Makes the scene render into a video file. Its name must contain no `#`, which Blender replaces by frame
    numbers."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # 5.0 and later
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    # Blender expands braces as variables, in folder names too.
    scene.render.filepath = str(target).replace("{", "{{").replace("}", "}}")
