"""Sentences in panels, which cut what is longer than they are wide."""

import textwrap

import bpy

PIXELS_A_LETTER = 6.5
"""Of Blender's own font, at a scale of 1."""
MARGIN_PIXELS = 70
MIN_LETTERS = 20


def draw_message(
    layout: bpy.types.UILayout, context: bpy.types.Context, message: str, icon: str = "NONE", used: int = 0
) -> None:
    """A message over as many lines as it needs, the icon before the first; `used` pixels are taken by others."""
    width = context.region.width / context.preferences.system.ui_scale if context.region else 0
    letters = max(MIN_LETTERS, int((width - MARGIN_PIXELS - used) / PIXELS_A_LETTER))
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(message, letters)):
        if i == 0:
            column.label(text=line, icon=icon)
        else:
            column.label(text=line, icon="NONE" if icon == "NONE" else "BLANK1")
