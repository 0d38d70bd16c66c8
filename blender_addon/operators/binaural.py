"""Hearing and seeing a take: the preview for a turned head, and the map of where its sound comes from."""

import math

import bpy

from ..blender_versions import sequencer_scene
from ..core.errors import UserError
from ..core.job import Work
from ..sequencer.sound_strips import kept_file
from ..workflows.binaural import listen
from ..workflows.direction_map import map_movie, map_picture
from .choice import OfTake, chosen_take
from .pump import WorkOperator


class OMNIAUDIO_OT_listen(OfTake, WorkOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Make the preview of the take anew, as a head hears it that is turned by the head yaw"""

    bl_idname = "omniaudio.listen"
    bl_label = "Turn Head"
    bl_options = {"UNDO"}  # noqa: RUF012

    def work(self, context: bpy.types.Context, _blocking: bool) -> Work:
        scene, take = sequencer_scene(context), chosen_take(context)
        yaw = math.degrees(scene.omniaudio.head_yaw)
        name = scene.name
        return Work(f"{take.master}: head turned", lambda cancelled: listen(name, take, yaw, cancelled))


class OMNIAUDIO_OT_sound_map(OfTake, WorkOperator, bpy.types.Operator):  # noqa: N801
    """Show moment by moment where the take's sound comes from, drawn over its panorama, in a strip above the picture"""

    bl_idname = "omniaudio.sound_map"
    bl_label = "Sound Map Movie"
    bl_options = {"UNDO"}  # noqa: RUF012

    def work(self, context: bpy.types.Context, _blocking: bool) -> Work:
        scene, take = sequencer_scene(context).name, chosen_take(context)
        picture = kept_file(take.provenance.clip, f"The picture that {take.master} was made for")
        return Work(f"{take.master}: sound map", lambda cancelled: map_movie(scene, take, picture, cancelled))


class OMNIAUDIO_OT_sound_map_picture(OfTake, bpy.types.Operator):  # noqa: N801
    """Show where the take's sound comes from on the whole, drawn over its panorama, in a strip above the picture"""

    bl_idname = "omniaudio.sound_map_picture"
    bl_label = "Sound Map Picture"
    bl_options = {"UNDO"}  # noqa: RUF012

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            name = map_picture(sequencer_scene(context), chosen_take(context))
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        self.report({"INFO"}, f"Placed {name}.")
        return {"FINISHED"}


CLASSES = (OMNIAUDIO_OT_listen, OMNIAUDIO_OT_sound_map, OMNIAUDIO_OT_sound_map_picture)
