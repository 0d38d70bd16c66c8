"""Detects a clip's sources and fills its list."""

import tempfile
from collections.abc import Generator
from dataclasses import replace
from math import ceil
from pathlib import Path

import bpy

from omniaudio_client.records import InspectRequest, PathSource

from ..core import sound_sources
from ..core.errors import UserError
from ..core.frames import FileSpan, Placement
from ..core.job import Cancelled, Outcome, Progress, Steps
from ..props.source_list import fill, list_of
from ..sequencer.sources import Footage
from .following import blender_is_free, made_by_service, rendered
from .snapshot import Snapshot

LOOK_SECONDS = 2.0
"""Between two rendered frames: the service analyses no more."""
MAX_FRAMES = 8
"""Maximum number of rendered frames; a long range has fewer per second."""


def detect(snapshot: Snapshot, blocking: bool, cancelled: Cancelled) -> Steps:
    """Fills the list with the detected sources. Raises UserError and CancelledError, with the list unchanged."""
    with tempfile.TemporaryDirectory(prefix="omniaudio-") as own:
        file, part = yield from _looked_at(snapshot, Path(own), blocking, cancelled)
        request = InspectRequest(
            PathSource(str(file)),
            start=0.0 if part is None else part.start,
            duration=None if part is None else part.duration,
            force=snapshot.request.force,
            allow_truncated=snapshot.request.allow_truncated,
        )
        made = yield from made_by_service(request, {"source": file}, Path(own), snapshot.stem, cancelled)
    if made.sources is None:
        raise UserError("The engine returned no sources: install the same version of OmniAudio on both sides.")
    yield from blender_is_free(cancelled)
    scene = bpy.data.scenes.get(snapshot.scene)
    under = snapshot.under
    found = None if scene is None else list_of(scene, snapshot.chosen, "" if under is None else under.name)
    if found is None:
        raise UserError(f"{snapshot.title} is gone; nothing was listed.")
    fill(found, made.sources, snapshot.listed)
    return Outcome(sound_sources.message(made.sources))


def _looked_at(
    snapshot: Snapshot, own: Path, blocking: bool, cancelled: Cancelled
) -> Generator[Progress, None, tuple[Path, FileSpan | None]]:
    """The file to analyse, rendered if necessary, and the part of it; None for the whole file."""
    if isinstance(snapshot.source, Footage):
        return snapshot.source.file, snapshot.source.part
    few = few_frames(snapshot)
    return (yield from rendered(few, own, snapshot.stem, blocking=blocking, cancelled=cancelled)), None


def few_frames(snapshot: Snapshot) -> Snapshot:
    """The same clip with only as many rendered frames as the service analyses, each in the middle of its section."""
    assert not isinstance(snapshot.source, Footage)
    place = snapshot.place
    count = min(MAX_FRAMES, max(1, ceil(place.frames / snapshot.rate / LOOK_SECONDS)))
    step = ceil(place.frames / count)
    start = place.start + min(step, place.frames) // 2
    return replace(
        snapshot, source=replace(snapshot.source, frame_step=step), place=Placement(start, place.end - start)
    )
