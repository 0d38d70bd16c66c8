"""Renders a clip to a video file: the scene in 360°, or the sequence."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy

from ..core.errors import CancelledError, UserError
from ..core.frames import Placement
from ..sequencer.sources import Panorama, Sequence
from ..service.results import FOLDER
from .panorama_render import panorama_scene
from .sequence_render import sequence_scene

MIN_FREE_BYTES = 1 << 20
"""With less free space after a failed render, the disk is reported as full: Blender would blame the codec."""


def render(
    scene_name: str,
    source: Panorama | Sequence,
    place: Placement,
    target: Path,
    *,
    blocking: bool,
    cancelled: Callable[[], bool],
) -> Iterator[float]:
    """Renders the frames `place` of a scene into the MP4 file `target`; deletes an incomplete file. Blender must not be
    rendering.

    Yields the fraction done. Unless `blocking`, the render is Blender's own job, which needs a window and which Esc
    ends. Calls `cancelled` after the render. Raises UserError if nothing was rendered, and CancelledError."""
    scene = bpy.data.scenes.get(scene_name)
    if scene is None:
        raise UserError(f"The scene {scene_name} is gone; nothing was rendered.")
    set_up = panorama_scene if isinstance(source, Panorama) else sequence_scene
    whole = False
    try:
        with set_up(scene, source, place, target) as copy:
            try:
                yield from _render_blocking(copy) if blocking else _render_as_job(copy, place)
            except RuntimeError as error:
                _check_room(target.parent)
                raise UserError(f"Blender could not render the clip: {str(error).strip()}") from error
            except CancelledError:  # by Esc, or by Blender, which gives no reason
                _check_room(target.parent)
                raise
            if cancelled():
                raise CancelledError
        _check_room(target.parent)  # Blender does not report that the end of a video was not written
        if not target.is_file():
            raise UserError("Blender rendered nothing; see its console for the reason.")
        whole = True
    finally:
        if not whole:
            with suppress(OSError):
                target.unlink()


def _check_room(folder: Path) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:  # Blender reports a missing folder itself
        return
    if free < MIN_FREE_BYTES:
        raise UserError(
            f"No files can be written to the folder {folder} (the disk is full): free some space, or choose another.",
            FOLDER,
        )


def _render_blocking(scene: bpy.types.Scene) -> Iterator[float]:
    yield 0.0
    bpy.ops.render.render(animation=True, scene=scene.name)
    yield 1.0


def _render_as_job(scene: bpy.types.Scene, place: Placement) -> Iterator[float]:
    """Blender's own render job, watched through its handlers."""
    name = scene.name
    scene.render.threads_mode, scene.render.threads = (
        "FIXED",
        max(1, (os.cpu_count() or 1) - 1),
    )  # one core for the window
    seen = {"fraction": 0.0, "cancelled": False, "over": False}

    def on_frame(rendered: bpy.types.Scene, *_: object) -> None:
        if rendered.name == name:
            seen["fraction"] = (rendered.frame_current - place.start) / place.frames

    def on_cancel(*_: object) -> None:
        seen["cancelled"] = seen["over"] = True

    def on_complete(*_: object) -> None:
        seen["over"] = True

    watches = [
        (bpy.app.handlers.render_write, on_frame),
        (bpy.app.handlers.render_cancel, on_cancel),
        (bpy.app.handlers.render_complete, on_complete),
    ]
    for handlers, watch in watches:
        handlers.append(watch)
    try:
        with _no_render_window():
            started = bpy.ops.render.render("INVOKE_DEFAULT", animation=True, scene=name)
        if "CANCELLED" in started:
            raise UserError("Blender does not render now; wait until its other job is done, then retry.")
        # The handlers are called shortly before the job is over; touching its scene before would crash.
        while not seen["over"] or bpy.app.is_job_running("RENDER"):
            yield min(1.0, seen["fraction"])
    finally:
        for handlers, watch in watches:
            handlers.remove(watch)
    if seen["cancelled"]:
        raise CancelledError


@contextmanager
def _no_render_window() -> Iterator[None]:
    """Sets the preference for where renders are shown: otherwise a window opens over the sequencer."""
    preferences = bpy.context.preferences
    kept, dirty = preferences.view.render_display_type, preferences.is_dirty
    preferences.view.render_display_type = "NONE"
    try:
        yield
    finally:
        preferences.view.render_display_type, preferences.is_dirty = kept, dirty
