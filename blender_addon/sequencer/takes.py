"""The takes in the sequencer: lists them, chooses the one that is heard, replaces a take's sound."""

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
    """A take: the names of its strips, its frames and its files."""

    master: str
    preview: str | None
    place: frames.Placement  # where it is heard: between its handles and those of the meta strip
    content: frames.Placement  # of the whole file
    ambix: Path
    preview_file: Path | None
    used: bool  # heard, and exported
    provenance: Provenance

    def seconds_at(self, frame: int, rate: Fraction) -> float:
        """The time in the file, in seconds, at a frame of the timeline; `rate` is frames a second."""
        return float((frame - self.content.start) / rate)


def takes_of(scene: bpy.types.Scene, strip: bpy.types.Strip | None) -> list[TakeStrips]:
    """The takes that belong to a strip, the oldest first: to a clip's strip, a meta strip with takes, or a take's own
    strip. Empty if there are none."""
    kept = provenance_of(strip) if strip is not None else None
    if kept is None or not kept.group:
        return []
    seen = shown_place(strip)
    masters = [s for s in masters_of(scene.sequence_editor, kept.group) if shown_place(s).common(seen).frames > 0]
    return sorted(map(_described, masters), key=lambda take: take.provenance.number)


def use_take(scene: bpy.types.Scene, master: str) -> None:
    """Makes the take of this master the one that is heard, and mutes the clip's others.

    Raises UserError if the take is gone.
    """
    chosen = _master(scene, master)
    for take in takes_of(scene, chosen):
        mark_used(_master(scene, take.master), take.master == master)


def replace_sound(scene: bpy.types.Scene, master: str, ambix: Path, preview: Path | None, made_by: Provenance) -> None:
    """Replaces a take's sound by one of the same length, and its provenance by `made_by`; frames and names stay.

    Without `preview` the preview stays as it is. Raises UserError, with the strips unchanged, if a file has the wrong
    format or the take is gone.
    """
    strip = _master(scene, master)
    beside = preview_of(strip)
    kept = replace(made_by, group=provenance_of(strip).group, number=provenance_of(strip).number)
    sound = load_sound(ambix, MASTER)
    heard = None if preview is None else load_sound(preview, PREVIEW)
    if beside is None and preview is not None:
        holder, place = holder_of(strip), content_of(strip)
        channel = free_channels(holder, place, 1, strip.channel)[0]
        preview_made_by = replace(kept, role=PREVIEW)
        beside = new_sound_strip(
            holder, f"{master} preview", preview, channel=channel, place=place, kept=preview_made_by
        )
    strip.sound = sound
    keep(strip, replace(kept, role=MASTER))
    if beside is not None:
        if heard is not None:
            beside.sound = heard
        keep(beside, replace(kept, role=PREVIEW))


def _described(master: bpy.types.Strip) -> TakeStrips:
    preview = preview_of(master)
    kept = provenance_of(master)
    assert kept is not None  # it was found by its provenance
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
