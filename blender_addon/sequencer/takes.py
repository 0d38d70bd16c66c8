"""The takes that lie in the sequencer: which there are, which is heard, and another sound for one."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import bpy

from ..blender_versions import content_of, shown_place
from ..core import frames
from ..core.errors import UserError
from ..core.provenance import MASTER, PREVIEW, Provenance, keep, provenance_of
from .sound_strips import (
    free_channels,
    holder_of,
    load_sound,
    mark_used,
    masters_of,
    new_sound_strip,
    preview_of,
)


@dataclass(frozen=True)
class TakeStrips:
    """A take's strips by their names, and where its sound lies."""

    master: str
    preview: str | None
    place: frames.Placement  # where it is heard: what the handles leave, and those of the meta strip around it
    content: frames.Placement  # where its file would be heard whole
    ambix: Path
    preview_file: Path | None
    used: bool  # heard, and delivered
    provenance: Provenance

    def seconds_at(self, frame: int, rate: Fraction) -> float:
        """Which second of the file is heard at a frame of the timeline; `rate` is frames a second."""
        return float((frame - self.content.start) / rate)


def takes_of(scene: bpy.types.Scene, strip: bpy.types.Strip | None) -> list[TakeStrips]:
    """The takes that belong to a strip: to a picture, to the meta strip beside it, or to a take in that; the oldest
    first. Empty where there are none."""
    kept = provenance_of(strip) if strip is not None else None
    if kept is None or not kept.group:
        return []
    seen = shown_place(strip)
    masters = [s for s in masters_of(scene.sequence_editor, kept.group) if shown_place(s).common(seen).frames > 0]
    return sorted(map(_described, masters), key=lambda take: take.provenance.number)


def use_take(scene: bpy.types.Scene, master: str) -> None:
    """Has the take of this master be the one that is heard; the others of its picture are muted.

    Raises UserError if it is gone.
    """
    chosen = _master(scene, master)
    for take in takes_of(scene, chosen):
        mark_used(_master(scene, take.master), take.master == master)


def replace_sound(scene: bpy.types.Scene, master: str, ambix: Path, preview: Path | None, made_by: Provenance) -> None:
    """Gives a take another sound, exactly as long, and keeps `made_by` on its strips; place and names stay.

    Without a `preview` the one that is there stays. Raises UserError, with the strips as they were, if a file is not
    what it should be or the take is gone.
    """
    strip = _master(scene, master)
    beside = preview_of(strip)
    kept = replace(made_by, group=provenance_of(strip).group, number=provenance_of(strip).number)
    sound = load_sound(ambix, MASTER)
    heard = None if preview is None else load_sound(preview, PREVIEW)
    if beside is None and preview is not None:
        holder, place = holder_of(strip), content_of(strip)
        channel = free_channels(holder, place, 1, strip.channel)[0]
        listened = replace(kept, role=PREVIEW)
        beside = new_sound_strip(holder, f"{master} preview", preview, channel=channel, place=place, kept=listened)
    strip.sound = sound
    keep(strip, replace(kept, role=MASTER))
    if beside is not None:
        if heard is not None:
            beside.sound = heard
        keep(beside, replace(kept, role=PREVIEW))


def _described(master: bpy.types.Strip) -> TakeStrips:
    preview = preview_of(master)
    kept = provenance_of(master)
    assert kept is not None  # it was found by it
    return TakeStrips(
        master=master.name,
        preview=None if preview is None else preview.name,
        place=shown_place(master),
        content=content_of(master),
        ambix=_file(master),
        preview_file=None if preview is None else _file(preview),
        used=kept.used if preview is None else not preview.mute,
        provenance=kept,
    )


def _file(strip: bpy.types.Strip) -> Path:
    return Path(bpy.path.abspath(strip.sound.filepath)).resolve()


def _master(scene: bpy.types.Scene, name: str) -> bpy.types.Strip:
    strip = scene.sequence_editor.strips_all.get(name) if scene.sequence_editor else None
    kept = provenance_of(strip) if strip is not None else None
    if strip is None or kept is None or kept.role != MASTER:
        raise UserError(f"The take {name} is gone; select another.")
    return strip
