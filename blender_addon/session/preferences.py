"""Access to the extension's preferences, whose class is in panels.preferences."""

import bpy

from ..core.package import PACKAGE


def preferences(context: bpy.types.Context | None = None) -> bpy.types.AddonPreferences:
    """The preferences of this extension."""
    return (context or bpy.context).preferences.addons[PACKAGE].preferences
