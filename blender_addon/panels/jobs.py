"""What runs, what has ended, and what mends what failed."""

import bpy

from ..core.fixes import fixes
from ..core.job import Work, works
from .text import draw_message

_ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "X"}


class OMNIAUDIO_PT_jobs(bpy.types.Panel):  # noqa: N801 (Blender's own form)
    """The works of this Blender, the newest first."""

    bl_label = "Jobs"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Spatial Audio"
    bl_parent_id = "OMNIAUDIO_PT_generate"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return any(True for _ in works)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        draw_running(layout)
        for index, work in reversed(list(enumerate(works))):
            if work.over:
                _draw_ended(layout, context, work, index)
        if sum(work.over for work in works) > 1:
            layout.operator("omniaudio.dismiss", text="Dismiss All That Ended").index = -1


def draw_running(layout: bpy.types.UILayout) -> None:
    """Of each work that runs a bar with the stage and the seconds left, and a button that cancels."""
    for index, work in enumerate(works):
        if not work.over:
            column = layout.column(align=True)
            column.label(text=work.title)
            row = column.row(align=True)
            row.progress(factor=work.progress.fraction, text=str(work.progress))
            row.operator("omniaudio.cancel", text="", icon="X").index = index


def _draw_ended(layout: bpy.types.UILayout, context: bpy.types.Context, work: Work, index: int) -> None:
    """A line, and where it failed the reason with what mends it."""
    box = layout.box()
    row = box.row(align=True)
    row.label(text=f"{work.started:%H:%M}  {work.title}", icon=_ICONS[work.state])
    if work.outcome is not None and work.outcome.folder is not None:
        button = row.operator("wm.path_open", text="", icon="FILE_FOLDER", emboss=False)
        button.filepath = str(work.outcome.folder)
    row.operator("omniaudio.dismiss", text="", icon="X", emboss=False).index = index
    if work.state != "failed" or work.error is None:
        return
    draw_message(box, context, work.error.message)
    remedies = fixes(work.error.code)
    if remedies:
        row = box.row(align=True)
        for fix in remedies:
            button = row.operator(fix.operator, text=fix.label, icon=fix.icon)
            if fix.of_job:
                button.index, button.force, button.allow_truncated = index, fix.force, fix.allow_truncated


CLASSES = (OMNIAUDIO_PT_jobs,)
