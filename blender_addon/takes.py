"""The takes that lie in the sequencer: which there are, which is heard, and another sound for one."""

from dataclasses import dataclass
from pathlib import Path

import bpy

from . import frames
from .provenance import Provenance


@dataclass(frozen=True)
class TakeStrips:
    """A take's strips by their names, and where its sound lies."""

    group: str | None  # the meta strip
    master: str
    preview: str | None
    place: frames.Placement  # where it is heard
    content_start: int  # the frame at which the sound's file begins
    ambix: Path
    preview_file: Path | None
    used: bool  # heard, and delivered
    provenance: Provenance


def takes_of(scene: bpy.types.Scene, strip: bpy.types.Strip | None) -> list[TakeStrips]:
    """The takes that belong to a strip: to a picture, to the meta strip under it, or to one of the takes in that; in
    the order in which they were made. Empty where there are none."""


def use_take(scene: bpy.types.Scene, master: str) -> None:
    """Has the take of this master be the one that is heard; the others of its picture are muted.

    Raises UserError if it is gone.
    """


def replace_sound(scene: bpy.types.Scene, master: str, ambix: Path, preview: Path | None, made_by: Provenance) -> None:
    """Gives a take another sound, exactly as long, and keeps `made_by` on its strips; place and names stay.

    Raises UserError, with the strips as they were, if a file is not what it should be or the take is gone.
    """
