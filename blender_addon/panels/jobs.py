"""The panel of jobs: running and ended ones, with fixes for those that failed."""

import bpy

from ..core.fixes import fixes
from ..core.job import BlenderJob, jobs
from .text import draw_message

_ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "X"}


class OMNIAUDIO_PT_jobs(bpy.types.Panel):  # noqa: N801 (Blender's own form)
    """This Blender's jobs, the newest first."""

    bl_label = "Jobs"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Spatial Audio"
    bl_parent_id = "OMNIAUDIO_PT_generate"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return any(True for _ in jobs)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        draw_running(layout)
        for index, job in reversed(list(enumerate(jobs))):
            if job.over:
                _draw_ended(layout, context, job, index)
        if sum(job.over for job in jobs) > 1:
            layout.operator("omniaudio.dismiss", text="Dismiss All That Ended").index = -1


def draw_running(layout: bpy.types.UILayout) -> None:
    """Draws the running jobs: a progress bar with the stage and the seconds left, and a button to cancel."""
    for index, job in enumerate(jobs):
        if not job.over:
            column = layout.column(align=True)
            column.label(text=job.title)
            row = column.row(align=True)
            row.progress(factor=job.progress.fraction, text=str(job.progress))
            row.operator("omniaudio.cancel", text="", icon="X").index = index


def _draw_ended(layout: bpy.types.UILayout, context: bpy.types.Context, job: BlenderJob, index: int) -> None:
    """Draws an ended job, with the error and its fixes if it failed."""
    box = layout.box()
    row = box.row(align=True)
    row.label(text=f"{job.started:%H:%M}  {job.title}", icon=_ICONS[job.state])
    if job.outcome is not None and job.outcome.folder is not None:
        button = row.operator("wm.path_open", text="", icon="FILE_FOLDER", emboss=False)
        button.filepath = str(job.outcome.folder)
    row.operator("omniaudio.dismiss", text="", icon="X", emboss=False).index = index
    if job.state != "failed" or job.error is None:
        return
    draw_message(box, context, job.error.message)
    remedies = fixes(job.error.code)
    if remedies:
        row = box.row(align=True)
        for fix in remedies:
            button = row.operator(fix.operator, text=fix.label, icon=fix.icon)
            if fix.of_job:
                button.index, button.force, button.allow_truncated = index, fix.force, fix.allow_truncated


CLASSES = (OMNIAUDIO_PT_jobs,)
