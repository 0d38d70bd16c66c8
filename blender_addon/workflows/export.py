"""Exports a 360° video with spatial audio, for YouTube and headsets."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from omniaudio_client.records import ExportRequest, PathSource

from ..core.errors import CancelledError, UserError
from ..core.frames import FileSpan
from ..core.job import Cancelled, Outcome, Progress, Steps
from ..core.sound_part import write_part
from .following import made_by_service, rendered
from .snapshot import Snapshot, usable_folder


@dataclass(frozen=True)
class Export:
    """What to export: `sound`, or a `part` of it, with the frames of a file from second `start` on, or of a render.

    `codec` is pcm, opus or aac; `force` skips the check for a 360° panorama, `allow_truncated` uses what can be read of
    a truncated file.
    """

    sound: Path
    part: FileSpan | None
    clip: Path | Snapshot
    start: float
    codec: str
    force: bool
    allow_truncated: bool
    folder: Path
    stem: str


def export(wanted: Export, blocking: bool, cancelled: Cancelled) -> Steps:
    """Writes the video. Raises UserError and CancelledError."""
    folder = usable_folder(wanted.folder)
    with tempfile.TemporaryDirectory(prefix="omniaudio-") as own:
        if wanted.part is not None:
            sound = Path(own) / "part.wav"
            for fraction in write_part(wanted.sound, wanted.part, sound):
                if cancelled():
                    raise CancelledError
                yield Progress("cutting the sound", fraction)
            wanted = replace(wanted, sound=sound)
        return (yield from _with_clip(wanted, folder, blocking, cancelled))


def _with_clip(wanted: Export, folder: Path, blocking: bool, cancelled: Cancelled) -> Steps:
    if isinstance(wanted.clip, Path):
        return (yield from _written(wanted, wanted.clip, cancelled))
    clip = yield from rendered(wanted.clip, folder, wanted.stem, blocking=blocking, cancelled=cancelled)
    try:
        return (yield from _written(wanted, clip, cancelled))
    except UserError as error:  # the render may have taken hours
        error.message += f" The rendered clip is kept: {clip}"
        raise


def _written(wanted: Export, clip: Path, cancelled: Cancelled) -> Steps:
    request = ExportRequest(
        PathSource(str(wanted.sound)),
        PathSource(str(clip)),
        clip_start=wanted.start,
        codec=wanted.codec,
        force=wanted.force,
        allow_truncated=wanted.allow_truncated,
    )
    files = {"sound": wanted.sound, "clip": clip}
    made = yield from made_by_service(request, files, wanted.folder, wanted.stem, cancelled)
    return Outcome(f"Exported {made.files[0]}", wanted.folder)
