"""Starts and stops the OSC bridge, and edits its folders."""

import bpy
from bpy.props import IntProperty

from ..core.errors import UserError
from ..session import blender_osc
from ..session.preferences import preferences


class OMNIAUDIO_OT_osc_start(bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Let DAWs on this machine request sound by OSC, for clips and for the open scene"""

    bl_idname = "omniaudio.osc_start"
    bl_label = "Start OSC Bridge"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return blender_osc.state().kind in ("off", "failed")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            blender_osc.start()
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


class OMNIAUDIO_OT_osc_stop(bpy.types.Operator):  # noqa: N801
    """Stop the bridge; the jobs of DAWs continue, and their results are sent when it is started again"""

    bl_idname = "omniaudio.osc_stop"
    bl_label = "Stop OSC Bridge"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return blender_osc.state().kind in ("starting", "listening")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        blender_osc.stop()
        return {"FINISHED"}


class OMNIAUDIO_OT_osc_folder_add(bpy.types.Operator):  # noqa: N801
    """Allow DAWs one more folder with clips"""

    bl_idname = "omniaudio.osc_folder_add"
    bl_label = "Add Folder"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        preferences().osc.folders.add()
        return {"FINISHED"}


class OMNIAUDIO_OT_osc_folder_remove(bpy.types.Operator):  # noqa: N801
    """No longer allow DAWs this folder"""

    bl_idname = "omniaudio.osc_folder_remove"
    bl_label = "Remove Folder"

    index: IntProperty(min=0, options={"SKIP_SAVE"})

    def execute(self, _context: bpy.types.Context) -> set[str]:
        preferences().osc.folders.remove(self.index)
        return {"FINISHED"}


CLASSES = (OMNIAUDIO_OT_osc_start, OMNIAUDIO_OT_osc_stop, OMNIAUDIO_OT_osc_folder_add, OMNIAUDIO_OT_osc_folder_remove)
