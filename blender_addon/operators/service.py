"""Restarts the service, shows its log, opens the preferences."""

from collections import deque
from pathlib import Path

import bpy

from ..core.package import PACKAGE
from ..session import blender_service

LINES_SHOWN = 25
POPUP_WIDTH = 900


class OMNIAUDIO_OT_restart_service(bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Start or restart the engine; its jobs continue afterwards"""

    bl_idname = "omniaudio.restart_service"
    bl_label = "Restart Engine"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        blender_service.restart()
        return {"FINISHED"}


class OMNIAUDIO_OT_show_log(bpy.types.Operator):  # noqa: N801
    """Show the end of the engine's log"""

    bl_idname = "omniaudio.show_log"
    bl_label = "Engine Log"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return blender_service.service().log.is_file()

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self._lines = last_lines(blender_service.service().log)
        return context.window_manager.invoke_popup(self, width=POPUP_WIDTH)

    def draw(self, _context: bpy.types.Context) -> None:
        log = blender_service.service().log
        split = self.layout.split(factor=0.85)
        split.label(text=str(log), icon="TEXT")
        split.operator("wm.path_open", text="Open", icon="FILE_FOLDER").filepath = str(log)
        column = self.layout.column(align=True)
        for line in self._lines:
            column.label(text=line)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        print(*last_lines(blender_service.service().log), sep="\n")
        return {"FINISHED"}


class OMNIAUDIO_OT_show_preferences(bpy.types.Operator):  # noqa: N801
    """Open the preferences of this extension"""

    bl_idname = "omniaudio.show_preferences"
    bl_label = "Preferences"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return bpy.ops.preferences.addon_show("INVOKE_DEFAULT", module=PACKAGE)


def last_lines(log: Path) -> list[str]:
    """The last lines of a log."""
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip() for line in deque(lines, LINES_SHOWN)]
    except OSError as error:
        return [f"The log cannot be read ({error.strerror})."]


CLASSES = (OMNIAUDIO_OT_restart_service, OMNIAUDIO_OT_show_log, OMNIAUDIO_OT_show_preferences)
