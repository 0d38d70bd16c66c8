"""What all works share: a task of the engine, followed to its end, and Blender's own renders, waited for."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from uuid import uuid4

import bpy

from omniaudio_client.records import AnyRequest

from ..core import frames
from ..core.errors import CancelledError, UserError
from ..core.job import Cancelled, Progress
from ..render.rendering import render
from ..service.service_job import Made, MadeTake, Task
from ..session import blender_service
from .snapshot import Snapshot


def made_by_service(
    request: AnyRequest, files: Mapping[str, Path], folder: Path, stem: str, cancelled: Cancelled
) -> Generator[Progress, None, Made]:
    """Has the engine carry out a request, and its files put into `folder`. Raises UserError and CancelledError.

    The engine's job ends too where these steps are ended in between, and no file of it stays.
    """
    task = Task(blender_service.chosen(), request, files, folder, stem)
    try:
        while (state := task.state).kind not in ("done", "failed", "cancelled"):
            if cancelled():
                raise CancelledError
            yield Progress(state.progress.stage, state.progress.fraction, state.progress.seconds_left)
    except (CancelledError, GeneratorExit):
        task.cancel()
        if (made := task.state.result) is not None:  # it was done since it was looked at
            made.remove()
        raise
    if state.kind == "cancelled":
        raise CancelledError
    if state.error is not None:
        raise state.error
    assert state.result is not None
    return state.result


def rendered(
    snapshot: Snapshot,
    folder: Path,
    stem: str,
    *,
    blocking: bool,
    cancelled: Cancelled,
    tell: Callable[[float], None] = lambda _: None,
) -> Generator[Progress, None, Path]:
    """The picture of a snapshot as `stem`_picture_001.mp4 in `folder`, or by the first later number that is free.
    `tell` is told the fraction that is done. Raises UserError and CancelledError."""
    yield from blender_is_free(cancelled, 0.0)
    # Its name is chosen when it is there: another work may take the same one meanwhile. And `#` in a name would be the
    # number of the frame to Blender.
    hidden = folder / f".omniaudio-{uuid4().hex}.mp4"
    for fraction in render(snapshot, hidden, blocking, cancelled):
        tell(fraction)
        yield Progress("rendering the picture (Esc ends it)", fraction)
    picture = frames.free_file(folder, f"{stem}_picture", ".mp4")
    hidden.replace(picture)
    return picture


@contextmanager
def removed_after(makes: Iterable[Iterable[MadeTake]], *errors: type[BaseException]) -> Iterator[None]:
    """After one of these errors the files of takes that were made are deleted: no strip will have them. GeneratorExit
    is another file that is loaded, or Blender's end."""
    try:
        yield
    except errors:
        for take in chain.from_iterable(makes):
            take.remove()
        raise


def blender_is_free(cancelled: Cancelled, fraction: float = 1.0) -> Generator[Progress, None, None]:
    """Waits until Blender renders nothing: strips must not be touched meanwhile, whoever started it. `fraction` of the
    work is done by then."""
    while bpy.app.is_job_running("RENDER"):
        if cancelled():
            raise CancelledError
        yield Progress("waiting for Blender's render", fraction)


def scene_named(name: str, folder: Path) -> bpy.types.Scene:
    """Looked up at each use: the user goes on working, and may undo or load. Raises UserError if it is gone."""
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise UserError(f"The scene {name} is gone; the files are in {folder}.")
    return scene
