"""Answers a request for sound of the scene."""

import bpy

from ..core.errors import UserError
from ..core.job import BlenderJob
from ..session import scene_requests
from ..workflows.scene import answer, snapshot_for
from .pump import JobOperator


class OMNIAUDIO_OT_answer_request(JobOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Render the scene for a client that requested its sound, and place the sound in the sequencer"""

    bl_idname = "omniaudio.answer_request"
    bl_label = "Generate Spatial Audio on Request"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 (Blender's own form)

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return scene_requests.waiting()

    def new_job(self, context: bpy.types.Context, blocking: bool) -> BlenderJob:
        scene_request = scene_requests.take()
        try:
            snapshot = snapshot_for(context, context.scene, scene_request.job)
        except UserError as error:
            scene_request.end(f"Blender cannot render the scene: {error.message}")
            raise
        job = BlenderJob(
            f"{snapshot.title}, on request", lambda cancelled: answer(scene_request, snapshot, blocking, cancelled)
        )
        scene_requests.begun(job)
        return job


CLASSES = (OMNIAUDIO_OT_answer_request,)
