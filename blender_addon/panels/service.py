"""Draws the state of the service."""

import bpy

from ..session import blender_service
from .text import draw_message

_LOOKS = {
    "off": ("The engine starts when it is first needed", "RADIOBUT_OFF"),
    "starting": ("The engine is starting", "SORTTIME"),
    "ready": ("The engine is ready", "CHECKMARK"),
    "waiting": ("The engine will be retried soon", "SORTTIME"),
    "failed": ("The engine does not work", "ERROR"),
}


def draw_service(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draws the service's state, its error and its buttons."""
    state = blender_service.service().state
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
