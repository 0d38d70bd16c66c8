"""Wraps messages in panels, since Blender cuts long lines."""

import textwrap

import bpy

PIXELS_A_LETTER = 6.5
"""Average of Blender's font at a UI scale of 1."""
MARGIN_PIXELS = 70
MIN_LETTERS = 20


def draw_message(
    layout: bpy.types.UILayout, context: bpy.types.Context, message: str, icon: str = "NONE", used: int = 0
) -> None:
    """Draws a message on as many lines as it needs, the icon before the first; `used` pixels are not available."""
    width = context.region.width / context.preferences.system.ui_scale if context.region else 0
    letters = max(MIN_LETTERS, int((width - MARGIN_PIXELS - used) / PIXELS_A_LETTER))
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(message, letters)):
        if i == 0:
            column.label(text=line, icon=icon)
        else:
            column.label(text=line, icon="NONE" if icon == "NONE" else "BLANK1")
