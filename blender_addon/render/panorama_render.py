"""The scene in 360°: an equirectangular panorama, rendered by Cycles from the scene's cameras."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..core.errors import UserError
from ..core.frames import Placement
from ..sequencer.sources import Panorama
from .scene_copy import MARK, copy_of, look_through, render_to


@contextmanager
def panorama_scene(
    scene: bpy.types.Scene, settings: Panorama, place: Placement, target: Path
) -> Iterator[bpy.types.Scene]:
    """A copy of `scene` that renders the panorama into `target`, the camera's forward direction in the centre. Removed
    with everything that belongs to it on exit. Raises UserError if Cycles or the camera is missing."""
    twins: dict[bpy.types.Object, bpy.types.Object] = {}
    with copy_of(scene) as copy:
        look_through(copy, settings.camera)
        for holder in (copy, *(marker for marker in copy.timeline_markers if marker.camera is not None)):
            if holder.camera not in twins:
                twins[holder.camera] = _panoramic_twin(holder.camera)
                copy.collection.objects.link(twins[holder.camera])
            holder.camera = twins[holder.camera]
        _set_up(copy, settings)
        render_to(copy, place, settings.frame_step, target)
        yield copy


def _panoramic_twin(camera: bpy.types.Object) -> bpy.types.Object:
    lens = bpy.data.cameras.new("OmniAudio panorama")
    lens.type = "PANO"
    lens.panorama_type = "EQUIRECTANGULAR"
    lens.clip_start = camera.data.clip_start if camera.type == "CAMERA" else lens.clip_start
    lens.clip_end = camera.data.clip_end if camera.type == "CAMERA" else lens.clip_end
    twin = bpy.data.objects.new("OmniAudio panorama", lens)
    twin[MARK] = True
    # A constraint, not a copied matrix: the camera may be animated.
    twin.constraints.new("COPY_TRANSFORMS").target = camera
    return twin


def _set_up(scene: bpy.types.Scene, settings: Panorama) -> None:
    render = scene.render
    try:
        render.engine = "CYCLES"
    except TypeError as error:
        raise UserError("Cycles renders the panorama; enable the add-on 'Cycles Render Engine'.") from error
    scene.cycles.samples = settings.samples
    render.resolution_x, render.resolution_y = settings.width, settings.width // 2
    render.resolution_percentage = 100
    # No post-production made for a flat image; and the sky is visible.
    render.use_sequencer = render.use_compositing = render.film_transparent = False
    scene.sequence_editor_clear()
