"""Ending, trying again and dismissing what runs or ran."""

import bpy
from bpy.props import BoolProperty, IntProperty

from ..core.errors import UserError
from ..core.job import Allowed, Work, works
from .pump import WorkOperator


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


class OMNIAUDIO_OT_try_again(WorkOperator, bpy.types.Operator):  # noqa: N801
    """Do this once more, just as it was asked for"""

    bl_idname = "omniaudio.try_again"
    bl_label = "Try Again"
    bl_options = {"UNDO"}  # noqa: RUF012

    index: IntProperty(name="Index", description="In the list; -1: the last", default=-1, options={"SKIP_SAVE"})
    force: BoolProperty(
        name="Is a 360° Picture",
        description="Take the picture for an equirectangular panorama, whatever it looks like",
        options={"SKIP_SAVE"},
    )
    allow_truncated: BoolProperty(
        name="Take What Can Be Read",
        description="Of a file that was cut off, take what can be read",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return any(work.over for work in works)

    def work(self, _context: bpy.types.Context, _blocking: bool) -> Work:
        everything = list(works)
        if not -1 <= self.index < len(everything) or not everything[self.index].over:
            raise UserError("This is not in the list of what has ended; press the first button again.")
        failed = everything[self.index]
        works.dismiss(everything.index(failed))
        return failed.again(Allowed(self.force, self.allow_truncated))


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


CLASSES = (OMNIAUDIO_OT_cancel, OMNIAUDIO_OT_try_again, OMNIAUDIO_OT_dismiss)
