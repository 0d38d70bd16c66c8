"""The panels and the preferences."""

import bpy

from . import generate, jobs, osc, preferences, properties, sources, takes

CLASSES = tuple(
    cls for module in (preferences, sources, generate, jobs, takes, osc, properties) for cls in module.CLASSES
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
