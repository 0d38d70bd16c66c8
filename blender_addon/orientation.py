"""The orientation of a scene's camera, frame by frame, however it is moved: keys, drivers, constraints, parents, and
markers that choose another camera."""

import time
from collections.abc import Generator
from fractions import Fraction

import bpy

from . import geometry
from .errors import UserError
from .frames import Placement
from .scene_copy import copy_of

MOST_SECONDS_A_STEP = 0.02
"""The window stays alive between two steps."""


def camera_orientations(
    scene: bpy.types.Scene, place: Placement, rate: Fraction
) -> Generator[float, None, tuple[geometry.Orientation, ...]]:
    """How the camera lies at each frame of `place`; seconds count from its first frame, `rate` is frames a second.

    Yields the fraction that is done. The scene's current frame stays: a copy is moved through time. Raises UserError
    without a camera, for a mirrored one, or if the copy goes while it is used (a file is loaded, or something undone).
    """
    found: list[geometry.Orientation] = []
    with copy_of(scene) as copy:
        name = copy.name
        pause = time.monotonic() + MOST_SECONDS_A_STEP
        for frame in range(place.start, place.end):
            if time.monotonic() > pause:
                yield len(found) / place.frames
                pause = time.monotonic() + MOST_SECONDS_A_STEP
                copy = bpy.data.scenes.get(name)
                if copy is None:
                    raise UserError("The scene changed while its camera was followed; try again.")
            copy.frame_set(frame)
            if copy.camera is None:
                raise UserError(f"The scene {scene.name} has no camera at frame {frame}; add one.")
            camera = copy.camera.evaluated_get(copy.view_layers[0].depsgraph)
            before = found[-1] if found else None
            found.append(geometry.orientation(float(len(found) / rate), camera.matrix_world.to_3x3(), before))
    return tuple(found)
