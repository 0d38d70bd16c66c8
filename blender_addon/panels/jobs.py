"""What runs, what has ended, and what mends what failed."""

import bpy

from ..fixes import fixes
from ..work import Work, works
from .text import draw_sentence

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
        for index, work in reversed(list(enumerate(works))):
            box = layout.box()
            if work.over:
                _draw_ended(box, context, work, index)
            else:
                box.label(text=work.title, icon="PLAY")
                draw_running(box, work, index)
        if any(work.over for work in works):
            layout.operator("omniaudio.dismiss", text="Dismiss All That Ended", icon="TRASH").index = -1


def draw_running(layout: bpy.types.UILayout, work: Work, index: int) -> None:
    """A bar with the stage and the seconds left, and a button that cancels."""
    row = layout.row(align=True)
    row.progress(factor=work.progress.fraction, text=str(work.progress))
    row.operator("omniaudio.cancel", text="", icon="X").index = index


def _draw_ended(layout: bpy.types.UILayout, context: bpy.types.Context, work: Work, index: int) -> None:
    row = layout.row()
    row.label(text=f"{work.started:%H:%M}  {work.title}", icon=_ICONS[work.state])
    row.operator("omniaudio.dismiss", text="", icon="X", emboss=False).index = index
    if work.outcome is not None:
        draw_sentence(layout, context, work.outcome.sentence)
        if work.outcome.folder is not None:
            layout.operator("wm.path_open", text="Open Folder", icon="FILE_FOLDER").filepath = str(work.outcome.folder)
    if work.error is not None:
        draw_sentence(layout, context, work.error.sentence)
        remedies = fixes(work.error.code)
        if remedies:
            row = layout.row(align=True)
            for fix in remedies:
                row.operator(fix.operator, text=fix.label, icon=fix.icon)


CLASSES = (OMNIAUDIO_PT_jobs,)
