"""The made sound in the sequencer.

All takes of a picture lie in one meta strip under it, each on channels of its own: an AmbiX master that is kept, and a
binaural preview that is heard. A meta strip, because the master is locked: locked strips stay behind where their
neighbours are moved, cut, copied or deleted, but what lies in a meta strip goes with it. So picture and sound are
edited as one strip each, and the meta strip is connected to the picture's as Blender connects a movie to its own
sound: a click selects both. Tab shows the takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import bpy

from ..blender_versions import connected_to, content_of, editing, set_length, shown_place
from ..core import frames
from ..core.errors import UserError
from ..core.provenance import CLIP, GROUP, MASTER, PREVIEW, Provenance, keep, provenance_of
from .sound_strips import (
    blend_path,
    free_channels,
    mark_used,
    masters_of,
    new_sound_strip,
    preview_of,
    remove,
)
from .sources import PictureStrip

if TYPE_CHECKING:
    from ..service.service_job import MadeTake

GROUP_COLOUR = "COLOR_06"
MAX_TITLE = 40
"""Bytes of a strip's name, of which 4.5 keeps 63: what is added to the title has to be seen."""


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
    takes: "Sequence[MadeTake]",
    place: frames.Placement,
    title: str,
    made_by: Provenance,
    *,
    under: PictureStrip | None = None,
) -> Inserted:
    """Places takes at `place`: the first is heard, the others and those that were there before are muted.

    Where takes of the same picture lie at the same place they go to these, else to a new meta strip on a free channel
    next to the picture. `under` is the picture's strip: if it was moved since, the sound lies under it all the same.
    `made_by` is kept on the strips, with what each take has of its own. Raises UserError, with the sequence as it was,
    if a file is not what it should be or there is no room.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    picture = editor.strips_all.get(under.name) if under else None
    if under is not None and picture is not None:
        place = place.moved(content_of(picture).start - under.content_start)
    made_by = replace(made_by, title=title)
    made_by = replace(made_by, group=made_by.group or _group_id(editor, picture, place, made_by))
    before = masters_of(editor, made_by.group)
    number = 1 + max((provenance_of(strip).number for strip in before), default=0)
    group = next((strip for strip in _groups(editor, made_by.group) if content_of(strip) == place), None)
    is_new = group is None
    if group is None:
        group = _new_group(editor, picture, place, made_by)
    new: list[bpy.types.Strip] = []
    try:
        for i, take in enumerate(takes):
            new += _insert_take(group, take, place, replace(made_by, number=number + i, used=i == 0))
    except UserError:
        for strip in new:
            remove(group, strip)
        if is_new:
            editor.strips.remove(group)
        raise
    if is_new:
        set_length(group, place.frames)  # Blender leaves it one frame long when a script fills it
    for master in before:
        if shown_place(master).common(place).frames > 0:
            mark_used(master, False)
    if picture is not None:
        keep(picture, Provenance(role=CLIP, group=made_by.group))
        _connect(scene, picture, group)
    masters = [strip for strip in new if strip.lock]
    return Inserted(group.name, tuple(InsertedTake(m.name, _name_of(preview_of(m))) for m in masters))


def _insert_take(
    group: bpy.types.MetaStrip, take: "MadeTake", place: frames.Placement, made_by: Provenance
) -> list[bpy.types.Strip]:
    """The preview below, where there is one, and the master above it. Raises UserError with nothing inserted."""
    kept = replace(
        made_by,
        options=replace(made_by.options, seed=take.seed),
        take=take.take,
        gain_db=made_by.gain_db if made_by.inpainting_sound else take.gain_db,
        sidecar=blend_path(take.sidecar) if take.sidecar else "",
        sound_map=blend_path(take.sound_map) if take.sound_map else "",
    )
    files = {PREVIEW: take.preview, MASTER: take.ambix}
    wanted = {role: file for role, file in files.items() if file is not None}
    channels = free_channels(group, place, len(wanted))
    new: list[bpy.types.Strip] = []
    try:
        for (role, file), channel in zip(wanted.items(), channels, strict=True):
            name = f"{_short(made_by.title)} {made_by.number} {'AmbiX' if role == MASTER else 'preview'}"
            new.append(new_sound_strip(group, name, file, channel=channel, place=place, kept=replace(kept, role=role)))
    except UserError:
        for strip in new:
            remove(group, strip)
        raise
    return new


def _new_group(
    editor: bpy.types.SequenceEditor, picture: bpy.types.Strip | None, place: frames.Placement, made_by: Provenance
) -> bpy.types.MetaStrip:
    near = picture.channel if picture is not None and picture.parent_meta() is None else 0
    channel = free_channels(editor, place, 1, near)[0]
    group = editor.strips.new_meta(f"{_short(made_by.title)} sound", channel, place.start)
    group.color_tag = GROUP_COLOUR
    group.select = False
    group.blend_type = "ALPHA_OVER"  # a meta strip without a picture hides nothing then
    keep(group, Provenance(role=GROUP, group=made_by.group, title=made_by.title, source=made_by.source))
    return group


def _groups(editor: bpy.types.SequenceEditor, group: str) -> list[bpy.types.MetaStrip]:
    found = [strip for strip in editor.strips if strip.type == "META"]
    return [s for s in found if (kept := provenance_of(s)) is not None and (kept.role, kept.group) == (GROUP, group)]


def _group_id(
    editor: bpy.types.SequenceEditor, picture: bpy.types.Strip | None, place: frames.Placement, made_by: Provenance
) -> str:
    """The group of the picture's strip, or of what was made for the same source at this place, or a new one."""
    if picture is not None:
        kept = provenance_of(picture)
        return kept.group if kept is not None and kept.group else uuid4().hex
    for strip in editor.strips:
        kept = provenance_of(strip)
        if (
            kept is not None
            and (kept.role, kept.title, kept.source) == (GROUP, made_by.title, made_by.source)
            and content_of(strip).common(place).frames > 0
        ):
            return kept.group
    return uuid4().hex


def _connect(scene: bpy.types.Scene, picture: bpy.types.Strip, group: bpy.types.MetaStrip) -> None:
    """Has a click on one of the two select both, and what the picture was connected to before."""
    if picture.parent_meta() is not None:
        return  # Blender connects what lies side by side
    editor = scene.sequence_editor
    together = {picture.name, group.name, *(strip.name for strip in connected_to(picture))}
    selected = {strip.name for strip in editor.strips_all if strip.select}
    active = editor.active_strip
    try:
        for strip in editor.strips_all:
            strip.select = strip.name in together
        with editing(scene):
            if bpy.ops.sequencer.connect.poll():
                bpy.ops.sequencer.connect(toggle=False)
    finally:
        for strip in editor.strips_all:
            strip.select = strip.name in selected
        editor.active_strip = active


def _short(title: str) -> str:
    return frames.shortened(title, MAX_TITLE)


def _name_of(strip: bpy.types.Strip | None) -> str | None:
    return None if strip is None else strip.name
