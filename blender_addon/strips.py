"""The made sound in the sequencer.

All takes of a picture lie in one meta strip under it, each on channels of its own: an AmbiX master that is kept, and a
binaural preview that is heard. A meta strip, because the master is locked: locked strips stay behind where their
neighbours are moved, cut, copied or deleted, but what lies in a meta strip goes with it. So picture and sound are
edited as one strip each, and the meta strip is connected to the picture's as Blender connects a movie to its own
sound: a click selects both. Tab shows the takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import bpy

from . import frames, provenance
from .blender_versions import content_of, editing, place_of, set_length
from .errors import UserError
from .provenance import Provenance
from .sources import PictureStrip
from .task import MadeTake

GROUP_COLOUR, MASTER_COLOUR, PREVIEW_COLOUR = "COLOR_06", "COLOR_05", "COLOR_04"
LONGEST_TITLE = 40
"""Bytes of a strip's name, of which 4.5 keeps 63; what is added to the title has to be seen."""


@dataclass(frozen=True)
class InsertedTake:
    """The names of a take's strips, as Blender chose them."""

    master: str
    preview: str | None


@dataclass(frozen=True)
class Inserted:
    """The name of the meta strip, and the takes that are new in it."""

    group: str
    takes: tuple[InsertedTake, ...]


def insert_takes(
    scene: bpy.types.Scene,
    takes: Sequence[MadeTake],
    place: frames.Placement,
    title: str,
    made_by: Provenance,
    under: PictureStrip | None = None,
) -> Inserted:
    """Places takes at `place`: the first is heard, the others and those that were there before are muted.

    Where takes of the same picture lie at the same place they go to these, else to a new meta strip on a channel that
    is free now. `under` is the picture's strip: if it was moved since, the sound lies under it all the same.
    `made_by` is kept on the strips, with what each take has of its own. Raises UserError, with the sequence as it was,
    if a file is not what it should be or there is no room.
    """
