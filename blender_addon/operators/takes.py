"""Chooses the take that is heard, and what its sound follows."""

import bpy
from bpy.props import EnumProperty, StringProperty

from ..blender_versions import sequencer_scene
from ..core.errors import UserError
from ..core.job import BlenderJob
from ..props.settings import ANCHORS
from ..sequencer.takes import use_take
from ..workflows.anchor import set_anchor
from .choice import OfTake, all_takes, chosen_take
from .pump import JobOperator


class OMNIAUDIO_OT_use_take(OfTake, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Hear this take; the clip's other takes are muted"""

    bl_idname = "omniaudio.use_take"
    bl_label = "Use This Take"
    bl_options = {"UNDO"}  # noqa: RUF012

    master: StringProperty(
        name="Take", description="The name of its ambisonic strip. Empty: the active one", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            use_take(sequencer_scene(context), chosen_take(context, self.master).master)
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


class OMNIAUDIO_OT_set_anchor(OfTake, JobOperator, bpy.types.Operator):  # noqa: N801
    """Lock the sound of all takes of the clip to the camera (head-locked) or to the world (world-locked)"""

    bl_idname = "omniaudio.set_anchor"
    bl_label = "Sound Follows"
    bl_options = {"UNDO"}  # noqa: RUF012

    anchor: EnumProperty(
        name="Sound Follows",
        description="What the sound stays fixed to",
        items=[item[:3] for item in ANCHORS],
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return next(item[2] for item in ANCHORS if item[0] == properties.anchor)

    def new_job(self, context: bpy.types.Context, _blocking: bool) -> BlenderJob:
        scene, takes, anchor = sequencer_scene(context).name, all_takes(context), self.anchor
        if not takes:
            raise UserError("Select a strip that has takes: a clip with generated sound, or that sound.")
        if anchor == "WORLD" and sequencer_scene(context).camera is None:
            raise UserError("The scene has no camera to follow; add one.")
        title = f"{takes[0].provenance.title}: follow the {anchor.lower()}"
        return BlenderJob(title, lambda cancelled: set_anchor(scene, takes, anchor, cancelled))


CLASSES = (OMNIAUDIO_OT_use_take, OMNIAUDIO_OT_set_anchor)
