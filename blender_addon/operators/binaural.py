"""A take's binaural preview for a rotated head, and its direction maps."""

import math

import bpy

from ..blender_versions import sequencer_scene
from ..core.errors import UserError
from ..core.job import BlenderJob
from ..sequencer.sound_strips import kept_file
from ..workflows.binaural import binaural
from ..workflows.direction_map import direction_map_image, direction_map_video
from .choice import OfTake, chosen_take
from .pump import JobOperator


class OMNIAUDIO_OT_binaural(OfTake, JobOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Render the take's binaural preview again, for a head that is rotated by the head yaw"""

    bl_idname = "omniaudio.binaural"
    bl_label = "Binaural Preview"
    bl_options = {"UNDO"}  # noqa: RUF012

    def new_job(self, context: bpy.types.Context, _blocking: bool) -> BlenderJob:
        scene, take = sequencer_scene(context), chosen_take(context)
        yaw = math.degrees(scene.omniaudio.head_yaw)
        name = scene.name
        return BlenderJob(f"{take.master}: binaural preview", lambda cancelled: binaural(name, take, yaw, cancelled))


class OMNIAUDIO_OT_direction_map_video(OfTake, JobOperator, bpy.types.Operator):  # noqa: N801
    """Show moment by moment where the take's sound comes from, drawn over its panorama, in a strip above the clip"""

    bl_idname = "omniaudio.direction_map_video"
    bl_label = "Direction Map Video"
    bl_options = {"UNDO"}  # noqa: RUF012

    def new_job(self, context: bpy.types.Context, _blocking: bool) -> BlenderJob:
        scene, take = sequencer_scene(context).name, chosen_take(context)
        clip = kept_file(take.provenance.clip, f"The clip that {take.master} was generated for")
        return BlenderJob(
            f"{take.master}: direction map", lambda cancelled: direction_map_video(scene, take, clip, cancelled)
        )


class OMNIAUDIO_OT_direction_map_image(OfTake, bpy.types.Operator):  # noqa: N801
    """Show where the take's sound comes from on average, drawn over its panorama, in a strip above the clip"""

    bl_idname = "omniaudio.direction_map_image"
    bl_label = "Direction Map Image"
    bl_options = {"UNDO"}  # noqa: RUF012

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            name = direction_map_image(sequencer_scene(context), chosen_take(context))
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        self.report({"INFO"}, f"Placed {name}.")
        return {"FINISHED"}


CLASSES = (OMNIAUDIO_OT_binaural, OMNIAUDIO_OT_direction_map_video, OMNIAUDIO_OT_direction_map_image)
