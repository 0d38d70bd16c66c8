"""A 360° video with spatial audio, for YouTube and headsets."""

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
class Delivery:
    """What is delivered: `part` of `sound`, or all of it, with the picture of a file, from second `start` on, or with
    one to be rendered.

    `codec` is pcm, opus or aac; `force` says that the picture is known to be a 360° one, and
    `allow_truncated` that what can be read of a file that was cut off will do.
    """

    sound: Path
    part: FileSpan | None
    picture: Path | Snapshot
    start: float
    codec: str
    force: bool
    allow_truncated: bool
    folder: Path
    stem: str


def deliver(delivery: Delivery, blocking: bool, cancelled: Cancelled) -> Steps:
    """Raises UserError and CancelledError."""
    folder = usable_folder(delivery.folder)
    with tempfile.TemporaryDirectory(prefix="omniaudio-") as own:
        if delivery.part is not None:
            sound = Path(own) / "part.wav"
            for fraction in write_part(delivery.sound, delivery.part, sound):
                if cancelled():
                    raise CancelledError
                yield Progress("cutting the sound", fraction)
            delivery = replace(delivery, sound=sound)
        return (yield from _with_picture(delivery, folder, blocking, cancelled))


def _with_picture(delivery: Delivery, folder: Path, blocking: bool, cancelled: Cancelled) -> Steps:
    if isinstance(delivery.picture, Path):
        return (yield from _written(delivery, delivery.picture, cancelled))
    picture = yield from rendered(delivery.picture, folder, delivery.stem, blocking=blocking, cancelled=cancelled)
    try:
        return (yield from _written(delivery, picture, cancelled))
    except UserError as error:  # the render may have taken hours
        error.message += f" The rendered picture is kept: {picture}"
        raise


def _written(delivery: Delivery, picture: Path, cancelled: Cancelled) -> Steps:
    request = ExportRequest(
        PathSource(str(delivery.sound)),
        PathSource(str(picture)),
        clip_start=delivery.start,
        codec=delivery.codec,
        force=delivery.force,
        allow_truncated=delivery.allow_truncated,
    )
    files = {"sound": delivery.sound, "clip": picture}
    made = yield from made_by_service(request, files, delivery.folder, delivery.stem, cancelled)
    return Outcome(f"Delivered {made.files[0]}", delivery.folder)
