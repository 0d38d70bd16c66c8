"""What all jobs share: following a job of the service to its end, rendering, and waiting for Blender's renders."""

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
from ..sequencer.sources import Footage
from ..service.service_job import LocalResult, ServiceJob, TakeFiles
from ..session import blender_service
from .snapshot import Snapshot


def made_by_service(
    request: AnyRequest, files: Mapping[str, Path], folder: Path, stem: str, cancelled: Cancelled
) -> Generator[Progress, None, LocalResult]:
    """Runs a request at the service and downloads its results to `folder`. Raises UserError and CancelledError.

    If the generator is closed early, the service's job is cancelled too and leaves no files.
    """
    job = ServiceJob(blender_service.chosen(), request, files, folder, stem)
    try:
        while (state := job.state).kind not in ("done", "failed", "cancelled"):
            if cancelled():
                raise CancelledError
            yield Progress(state.progress.stage, state.progress.fraction, state.progress.seconds_left)
    except (CancelledError, GeneratorExit):
        job.cancel()
        if (made := job.state.result) is not None:  # it has ended since the last look
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
    on_progress: Callable[[float], None] = lambda _: None,
) -> Generator[Progress, None, Path]:
    """Renders a snapshot's clip to `stem`_clip_001.mp4 in `folder`, or the first free later number. Calls `on_progress`
    with the fraction done. Raises UserError and CancelledError."""
    assert not isinstance(snapshot.source, Footage)
    yield from blender_is_free(cancelled, 0.0)
    # Named when complete: another job may take the same name meanwhile. And Blender replaces `#` in names by numbers.
    hidden = folder / f".omniaudio-{uuid4().hex}.mp4"
    for fraction in render(
        snapshot.scene, snapshot.source, snapshot.place, hidden, blocking=blocking, cancelled=cancelled
    ):
        on_progress(fraction)
        yield Progress("rendering the clip (Esc ends it)", fraction)
    clip = frames.free_file(folder, f"{stem}_clip", ".mp4")
    hidden.replace(clip)
    return clip


@contextmanager
def removed_after(makes: Iterable[Iterable[TakeFiles]], *errors: type[BaseException]) -> Iterator[None]:
    """Deletes the files of takes after one of these errors, since no strip will use them. GeneratorExit means that
    another file is opened, or that Blender quits."""
    try:
        yield
    except errors:
        for take in chain.from_iterable(makes):
            take.remove()
        raise


def blender_is_free(cancelled: Cancelled, fraction: float = 1.0) -> Generator[Progress, None, None]:
    """Waits until Blender renders nothing: strips must not change meanwhile. Yields `fraction` as the progress."""
    while bpy.app.is_job_running("RENDER"):
        if cancelled():
            raise CancelledError
        yield Progress("waiting for Blender's render", fraction)


def scene_named(name: str, folder: Path) -> bpy.types.Scene:
    """Looks a scene up, since the user may have undone something or opened a file. Raises UserError if it is gone."""
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise UserError(f"The scene {name} is gone; the files are in {folder}.")
    return scene
