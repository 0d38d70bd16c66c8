"""The state of the engine."""

import bpy

from ..session import blender_service
from .text import draw_message

_LOOKS = {
    "off": ("The engine is started when it is first needed", "RADIOBUT_OFF"),
    "starting": ("The engine starts", "SORTTIME"),
    "ready": ("The engine is ready", "CHECKMARK"),
    "waiting": ("The engine is tried again soon", "SORTTIME"),
    "failed": ("The engine does not work", "ERROR"),
}


def draw_service(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """A line that says how the engine is, the reason where it does not work, and its buttons."""
    state = blender_service.engine().state
    text, icon = _LOOKS[state.kind]
    if state.kind == "ready":
        text += f", version {state.version}" + (", started by this Blender" if state.started_here else "")
    box = layout.box()
    box.label(text=text, icon=icon)
    row = box.row(align=True)
    row.operator("omniaudio.restart_service", text="Start" if state.kind == "off" else "Restart", icon="FILE_REFRESH")
    row.operator("omniaudio.show_log", text="Show Log", icon="TEXT")
    if state.message:
        draw_message(box, context, state.message)
