"""A copy of the scene to render from: the user's settings are never touched, so nothing has to be restored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..blender_versions import render_into
from ..core.errors import UserError
from ..core.frames import Placement

MARK = "omniaudio_copy"
"""Custom property of copies and of the objects created for them. Copies that exist while the file is saved, or an undo
step is made, may come back, and are recognized by it."""

LOOK_SECONDS = 0.5

_HANDLERS = (bpy.app.handlers.load_post, bpy.app.handlers.undo_post, bpy.app.handlers.redo_post)

_in_use: set[str] = set()


@contextmanager
def copy_of(scene: bpy.types.Scene) -> Iterator[bpy.types.Scene]:
    """A copy of `scene`, with a sequence of its own and the same objects. Removed on exit, with its marked cameras."""
    copy = scene.copy()
    copy[MARK] = True
    name = copy.name
    _in_use.add(name)
    try:
        yield copy
    finally:
        # By name: the user may have undone something or opened a file meanwhile.
        _in_use.discard(name)
        _remove_unused()


@bpy.app.handlers.persistent
def _remove_unused(*_: object) -> float | None:
    """Removes unused copies and their cameras, once Blender renders nothing, since that might be one of them."""
    unused = [scene for scene in bpy.data.scenes if scene.get(MARK) and scene.name not in _in_use]
    marked = [camera for camera in bpy.data.objects if camera.type == "CAMERA" and camera.get(MARK)]
    if bpy.app.is_job_running("RENDER") and (unused or marked):
        if not bpy.app.timers.is_registered(_remove_unused):
            bpy.app.timers.register(_remove_unused, first_interval=LOOK_SECONDS)
        return LOOK_SECONDS
    for camera in marked:
        if not any(scene.name in _in_use for scene in camera.users_scene):
            data = camera.data
            bpy.data.objects.remove(camera)
            bpy.data.cameras.remove(data)
    for scene in unused:
        if len(bpy.data.scenes) > 1:  # Blender keeps the last one
            bpy.data.scenes.remove(scene)
    return None


def register() -> None:
    for handlers in _HANDLERS:
        handlers.append(_remove_unused)


def unregister() -> None:
    for handlers in _HANDLERS:
        handlers.remove(_remove_unused)


def look_through(copy: bpy.types.Scene, camera: str) -> None:
    """Makes the camera with this name the camera of `copy`, whatever its markers say; does nothing if the name is
    empty. Raises UserError if there is no such camera."""
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
    """Sets `scene` up to render every `frame_step`th frame of `place` into the MP4 file `target`, without sound."""
    scene.frame_start, scene.frame_end, scene.frame_step = place.start, place.end - 1, frame_step
    scene.use_preview_range = False
    render = scene.render
    render.fps_base *= frame_step  # the video keeps the scene's speed
    render.use_border = render.use_multiview = render.use_stamp = False
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    render_into(scene, target)
    render.image_settings.color_mode = "RGB"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    render.ffmpeg.audio_codec = "NONE"
    render.ffmpeg.use_autosplit = False
    render.use_file_extension = True
    render.use_overwrite = True
    render.use_placeholder = False
