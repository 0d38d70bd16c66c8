"""Ending and dismissing what runs or ran."""

import bpy
from bpy.props import IntProperty

from ..work import works


class OMNIAUDIO_OT_cancel(bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Stop this; the sequencer stays as it is"""

    bl_idname = "omniaudio.cancel"
    bl_label = "Cancel"

    index: IntProperty(name="Index", description="In the list; -1: the newest", default=-1, options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return works.newest() is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        everything = list(works)
        work = everything[self.index] if 0 <= self.index < len(everything) else works.newest()
        if work is None:
            return {"CANCELLED"}
        work.cancel()
        return {"FINISHED"}


class OMNIAUDIO_OT_dismiss(bpy.types.Operator):  # noqa: N801
    """Take this out of the list"""

    bl_idname = "omniaudio.dismiss"
    bl_label = "Dismiss"

    index: IntProperty(
        name="Index", description="In the list; -1: all that have ended", default=-1, options={"SKIP_SAVE"}
    )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        works.dismiss(None if self.index < 0 else self.index)
        return {"FINISHED"}


CLASSES = (OMNIAUDIO_OT_cancel, OMNIAUDIO_OT_dismiss)
