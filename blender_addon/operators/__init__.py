"""The operators, by subject."""

import bpy

from ..core.job import jobs as all_jobs
from . import binaural, export, generate, jobs, osc, pump, request, service, sources, takes

CLASSES = tuple(
    cls
    for module in (generate, sources, takes, binaural, export, jobs, service, osc, request)
    for cls in module.CLASSES
)


@bpy.app.handlers.persistent
def _forget_jobs(*_: object) -> None:
    """Ends all jobs after another file was opened: a retry would use its scene of the same name."""
    all_jobs.close()


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.app.handlers.load_post.append(_forget_jobs)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_forget_jobs)
    all_jobs.close()
    pump.remove_timers()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
