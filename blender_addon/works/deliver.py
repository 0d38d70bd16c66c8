"""A 360° video with spatial audio, for YouTube and headsets."""

from dataclasses import dataclass
from pathlib import Path

from ..client import DeliverRequest, PathSource
from ..errors import UserError
from ..snapshot import Snapshot, usable_folder
from ..work import Cancelled, Outcome, Steps
from .following import made_by_engine, rendered


@dataclass(frozen=True)
class Delivery:
    """What is delivered: `sound` with the picture of a file, from second `start` on, or with one to be rendered.

    `codec` is pcm, opus or aac; `force` says that the picture is known to be a 360° one.
    """

    sound: Path
    picture: Path | Snapshot
    start: float
    codec: str
    force: bool
    folder: Path
    stem: str


def deliver(delivery: Delivery, blocking: bool, cancelled: Cancelled) -> Steps:
    """Raises UserError and CancelledError."""
    folder = usable_folder(delivery.folder)
    if isinstance(delivery.picture, Path):
        return (yield from _written(delivery, delivery.picture, cancelled))
    picture = yield from rendered(delivery.picture, folder, delivery.stem, blocking=blocking, cancelled=cancelled)
    try:
        return (yield from _written(delivery, picture, cancelled))
    except UserError as error:  # the render may have taken hours
        error.sentence += f" The rendered picture is kept: {picture}"
        raise


def _written(delivery: Delivery, picture: Path, cancelled: Cancelled) -> Steps:
    request = DeliverRequest(
        PathSource(str(delivery.sound)),
        PathSource(str(picture)),
        picture_start=delivery.start,
        codec=delivery.codec,
        force=delivery.force,
    )
    files = {"sound": delivery.sound, "picture": picture}
    made = yield from made_by_engine(request, files, delivery.folder, delivery.stem, cancelled)
    return Outcome(f"Delivered {made.files[0]}", delivery.folder)
