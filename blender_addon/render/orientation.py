"""The orientation of a scene's camera at each frame, however it is animated: keyframes, drivers, constraints, parents,
and markers that switch cameras."""

import time
from collections.abc import Generator
from fractions import Fraction

import bpy

from ..core import geometry
from ..core.errors import UserError
from ..core.frames import Placement
from .scene_copy import copy_of, look_through

MAX_SECONDS_A_STEP = 0.02
"""The window stays responsive between two steps."""


def camera_orientations(
    scene: bpy.types.Scene, place: Placement, rate: Fraction, camera: str = ""
) -> Generator[float, None, tuple[geometry.Orientation, ...]]:
    """The orientation at each frame of `place` of the camera named `camera`, or of the scene's own. Seconds count from
    the first frame; `rate` is frames a second.

    Yields the fraction done. Steps a copy through time, so the scene's current frame stays. Raises UserError if there
    is no camera, if it is mirrored, or if the copy disappears meanwhile (by undo, or by opening a file)."""
    found: list[geometry.Orientation] = []
    with copy_of(scene) as copy:
        look_through(copy, camera)
        name = copy.name  # looked up at each frame: the user may undo
        pause = time.monotonic() + MAX_SECONDS_A_STEP
        for frame in range(place.start, place.end):
            if time.monotonic() > pause:
                yield len(found) / place.frames
                pause = time.monotonic() + MAX_SECONDS_A_STEP
            found.append(_at_frame(bpy.data.scenes.get(name), frame, float(len(found) / rate), found[-1:]))
    return tuple(found)


def _at_frame(
    scene: bpy.types.Scene | None, frame: int, seconds: float, before: list[geometry.Orientation]
) -> geometry.Orientation:
    if scene is None:
        raise UserError("The scene changed while its camera was followed; retry.")
    scene.frame_set(frame)
    if scene.camera is None:
        raise UserError(f"There is no camera at frame {frame}; add one where the listener is.")
    camera = scene.camera.evaluated_get(scene.view_layers[0].depsgraph)
    return geometry.orientation(seconds, camera.matrix_world.to_3x3(), *before)
