"""The panel of the OSC bridge."""

import bpy

from ..session import blender_osc
from ..session.preferences import preferences
from .text import draw_message

_ICONS = {"off": "UNLINKED", "starting": "SORTTIME", "listening": "LINKED", "failed": "ERROR"}


class OMNIAUDIO_PT_osc(bpy.types.Panel):  # noqa: N801 (Blender's own form)
    """Lets DAWs request sound."""

    bl_label = "OSC Bridge"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Spatial Audio"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 (Blender's own form)

    def draw(self, context: bpy.types.Context) -> None:
        draw_osc(self.layout, context)


def draw_osc(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draws the bridge's settings, its button, its state and its last message."""
    settings, state = preferences(context).osc, blender_osc.state()
    runs = state.kind in ("starting", "listening")
    column = layout.column()
    column.enabled = not runs
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(settings, "port")
    column.label(text="DAWs may name clips in", icon="FILE_FOLDER")
    for index, folder in enumerate(settings.folders):
        row = column.row(align=True)
        row.use_property_split = False
        row.prop(folder, "path", text="")
        row.operator("omniaudio.osc_folder_remove", text="", icon="X").index = index
    row = column.row(align=True)
    if not settings.folders:
        row.label(text="your home folder")
    row.operator("omniaudio.osc_folder_add", text="", icon="ADD")
    layout.operator("omniaudio.osc_stop" if runs else "omniaudio.osc_start", icon="PAUSE" if runs else "PLAY")
    text = {"listening": f"Listening on port {state.port}", "starting": "Starting", "off": "Off", "failed": "Failed"}
    layout.label(text=text[state.kind], icon=_ICONS[state.kind])
    for said in filter(None, (state.message, state.last)):
        draw_message(layout, context, said)


CLASSES = (OMNIAUDIO_PT_osc,)
