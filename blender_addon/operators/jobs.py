"""Cancels, retries and dismisses jobs."""

import bpy
from bpy.props import BoolProperty, IntProperty

from ..core.errors import UserError
from ..core.job import Allowed, BlenderJob, jobs
from .pump import JobOperator


class OMNIAUDIO_OT_cancel(bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Cancel this job; the sequencer stays as it is"""

    bl_idname = "omniaudio.cancel"
    bl_label = "Cancel"

    index: IntProperty(name="Index", description="In the list; -1: the newest", default=-1, options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return jobs.newest() is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        everything = list(jobs)
        job = everything[self.index] if 0 <= self.index < len(everything) else jobs.newest()
        if job is None:
            return {"CANCELLED"}
        job.cancel()
        return {"FINISHED"}


class OMNIAUDIO_OT_retry(JobOperator, bpy.types.Operator):  # noqa: N801
    """Run this job again with the same settings"""

    bl_idname = "omniaudio.retry"
    bl_label = "Retry"
    bl_options = {"UNDO"}  # noqa: RUF012

    index: IntProperty(name="Index", description="In the list; -1: the last", default=-1, options={"SKIP_SAVE"})
    force: BoolProperty(
        name="Is a 360° Panorama",
        description="Treat the clip as an equirectangular panorama, whatever it looks like",
        options={"SKIP_SAVE"},
    )
    allow_truncated: BoolProperty(
        name="Use What Can Be Read",
        description="Use what can be read of a truncated file",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return any(job.over for job in jobs)

    def new_job(self, _context: bpy.types.Context, _blocking: bool) -> BlenderJob:
        everything = list(jobs)
        if not -1 <= self.index < len(everything) or not everything[self.index].over:
            raise UserError("This job is not among those that have ended; use the button that started it.")
        failed = everything[self.index]
        jobs.dismiss(everything.index(failed))
        return failed.repeated(Allowed(self.force, self.allow_truncated))


class OMNIAUDIO_OT_dismiss(bpy.types.Operator):  # noqa: N801
    """Remove this job from the list"""

    bl_idname = "omniaudio.dismiss"
    bl_label = "Dismiss"

    index: IntProperty(
        name="Index", description="In the list; -1: all that have ended", default=-1, options={"SKIP_SAVE"}
    )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        jobs.dismiss(None if self.index < 0 else self.index)
        return {"FINISHED"}


CLASSES = (OMNIAUDIO_OT_cancel, OMNIAUDIO_OT_retry, OMNIAUDIO_OT_dismiss)
