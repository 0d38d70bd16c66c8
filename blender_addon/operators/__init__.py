"""The operators, by subject."""

import bpy

from ..core.job import works
from . import binaural, export, generate, jobs, osc, pump, request, service, sources, takes

CLASSES = tuple(
    cls
    for module in (generate, sources, takes, binaural, export, jobs, service, osc, request)
    for cls in module.CLASSES
)


@bpy.app.handlers.persistent
def _forget_works(*_: object) -> None:
    """After another file was loaded: what is tried again would go into its scene of the same name."""
    works.close()


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.app.handlers.load_post.append(_forget_works)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_forget_works)
    works.close()
    pump.remove_timers()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
