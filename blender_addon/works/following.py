"""What all works share: a task of the engine, followed to its end, and Blender's own renders, waited for."""

from collections.abc import Generator, Mapping
from pathlib import Path

import bpy

from .. import blender_engine
from ..client import AnyRequest
from ..errors import CancelledError, UserError
from ..task import Made, Task
from ..work import Cancelled, Progress


def made_by_engine(
    request: AnyRequest, files: Mapping[str, Path], folder: Path, stem: str, cancelled: Cancelled
) -> Generator[Progress, None, Made]:
    """Has the engine carry out a request, and its files put into `folder`. Raises UserError and CancelledError.

    The engine's job ends too where these steps are ended in between.
    """
    task = Task(blender_engine.chosen(), request, files, folder, stem)
    try:
        while (state := task.state).kind not in ("done", "failed", "cancelled"):
            if cancelled():
                raise CancelledError
            yield Progress(state.progress.stage, state.progress.fraction, state.progress.seconds_left)
    finally:
        task.cancel()  # one that is over stays as it is
    if state.kind == "cancelled":
        raise CancelledError
    if state.error is not None:
        raise state.error
    assert state.result is not None
    return state.result


def blender_is_free(cancelled: Cancelled) -> Generator[Progress, None, None]:
    """Waits until Blender renders nothing: strips must not be touched meanwhile, whoever started it."""
    while bpy.app.is_job_running("RENDER"):
        if cancelled():
            raise CancelledError
        yield Progress("waiting for Blender's render", 1.0)


def scene_named(name: str, folder: Path) -> bpy.types.Scene:
    """Looked up at each use: the user goes on working, and may undo or load. Raises UserError if it is gone."""
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise UserError(f"The scene {name} is gone; the files are in {folder}.")
    return scene
