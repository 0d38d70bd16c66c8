"""The operators, by subject."""

import bpy

from ..work import works
from . import deliver, engine, generate, jobs, listen, osc, request, takes

CLASSES = tuple(
    cls for module in (generate, takes, listen, deliver, jobs, engine, osc, request) for cls in module.CLASSES
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    works.close()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
