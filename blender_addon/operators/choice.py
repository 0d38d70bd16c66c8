"""Chooses the take that an operator acts on, by the active strip."""

import bpy

from ..blender_versions import sequencer_scene
from ..core.errors import UserError
from ..core.provenance import provenance_of
from ..sequencer.takes import TakeStrips, takes_of


def active_strip(context: bpy.types.Context) -> bpy.types.Strip | None:
    """The active strip of the edited sequence."""
    editor = sequencer_scene(context).sequence_editor
    return editor.active_strip if editor else None


def all_takes(context: bpy.types.Context) -> list[TakeStrips]:
    """The takes of the active strip's clip; empty if there are none."""
    return takes_of(sequencer_scene(context), active_strip(context))


def chosen_take(context: bpy.types.Context, master: str = "") -> TakeStrips:
    """The take of this master, or the one whose own strip is active, or the one that is heard.

    Raises UserError if there is none.
    """
    takes, strip = all_takes(context), active_strip(context)
    if not takes:
        raise UserError("Select a strip that has takes: a clip with generated sound, or that sound.")
    wanted = master or (strip.name if strip is not None else "")
    own = [take for take in takes if wanted in (take.master, take.preview)]
    if master and not own:
        raise UserError(f"The take {master} is gone; select another.")
    used = [take for take in takes if take.used]
    return (own or used or takes)[0]


def has_takes(context: bpy.types.Context) -> bool:
    """Whether the active strip belongs to takes, for `poll`. Does not check that the takes still exist, which would
    search all strips at every redraw."""
    strip = active_strip(context)
    kept = None if strip is None else provenance_of(strip)
    return kept is not None and bool(kept.group)


class OfTake:
    """Base of operators that act on a take."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if has_takes(context):
            return True
        cls.poll_message_set("Select a clip with generated sound, or that sound")
        return False
