"""Sound of the scene that somebody has asked the engine for."""

import bpy

from ..core.errors import UserError
from ..core.job import Work
from ..session import scene_requests
from ..workflows.scene import answer, snapshot_for
from .pump import WorkOperator


class OMNIAUDIO_OT_answer_request(WorkOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Render the scene for whom has asked for its sound, and place that in the sequencer"""

    bl_idname = "omniaudio.answer_request"
    bl_label = "Generate Spatial Audio on Request"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 (Blender's own form)

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return scene_requests.waiting()

    def work(self, context: bpy.types.Context, blocking: bool) -> Work:
        asked = scene_requests.take()
        try:
            snapshot = snapshot_for(context, context.scene, asked.job)
        except UserError as error:
            asked.end(f"Blender cannot render the scene: {error.message}")
            raise
        work = Work(f"{snapshot.title}, on request", lambda cancelled: answer(asked, snapshot, blocking, cancelled))
        scene_requests.begun(work)
        return work


CLASSES = (OMNIAUDIO_OT_answer_request,)
