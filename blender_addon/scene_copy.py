"""A copy of the scene to render from: the user's settings are never touched, so there is nothing to put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from .blender_versions import write_video
from .errors import UserError
from .frames import Placement


@contextmanager
def copy_of(scene: bpy.types.Scene) -> Iterator[bpy.types.Scene]:
    """A copy of `scene`, with a sequence of its own and the same objects; it goes at the end."""
    copy = scene.copy()
    name = copy.name
    try:
        yield copy
    finally:
        # By name: the user may have loaded or undone something while the copy was used.
        if (left := bpy.data.scenes.get(name)) is not None:
            bpy.data.scenes.remove(left)


def look_through(copy: bpy.types.Scene, camera: str) -> None:
    """Makes the camera with this name the one of `copy`, whatever its markers say; the scene's own where it is empty.
    Raises UserError where there is none."""
    if not camera:
        return
    found = copy.objects.get(camera)
    if found is None or found.type != "CAMERA":
        others = ", ".join(sorted(other.name for other in copy.objects if other.type == "CAMERA"))
        raise UserError(f"The scene has no camera {camera}; its cameras are: {others or 'none'}.")
    copy.camera = found
    for marker in copy.timeline_markers:
        marker.camera = None


def render_to(scene: bpy.types.Scene, place: Placement, frame_step: int, target: Path) -> None:
    """Sets up that `scene` renders every `frame_step`th frame of `place` into the MP4 file `target`, without sound."""
    scene.frame_start, scene.frame_end, scene.frame_step = place.start, place.end - 1, frame_step
    scene.use_preview_range = False
    render = scene.render
    render.fps_base *= frame_step  # the video keeps the scene's time
    render.use_border = render.use_multiview = render.use_stamp = False
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    write_video(scene)
    render.image_settings.color_mode = "RGB"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    render.ffmpeg.audio_codec = "NONE"
    render.ffmpeg.use_autosplit = False
    render.use_file_extension = True
    render.use_overwrite = True
    render.use_placeholder = False
    render.filepath = str(target)
