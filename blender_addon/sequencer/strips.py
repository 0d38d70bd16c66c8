"""Inserts generated sound into the sequencer.

All takes of a clip are in one meta strip below it, each with an AmbiX master and a binaural preview on channels of
their own. A meta strip, because masters are locked: locked strips stay behind when their neighbours are moved, cut,
copied or deleted, but the content of a meta strip goes with it. The meta strip is connected to the clip's strip as
Blender connects a movie strip to its sound: a click selects both. Tab shows the takes."""

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
from .sources import ClipStrip

if TYPE_CHECKING:
    from ..service.service_job import TakeFiles

GROUP_COLOUR = "COLOR_06"
MAX_TITLE = 40
"""Bytes. Blender 4.5 keeps 63 of a strip's name, and what is added to the title has to fit."""


@dataclass(frozen=True)
class InsertedTake:
    """The names that Blender gave to a take's strips."""

    master: str
    preview: str | None


@dataclass(frozen=True)
class Inserted:
    """The name of the meta strip, and its new takes."""

    group: str
    takes: tuple[InsertedTake, ...]


def insert_takes(
    scene: bpy.types.Scene,
    takes: "Sequence[TakeFiles]",
    place: frames.Placement,
    title: str,
    made_by: Provenance,
    *,
    under: ClipStrip | None = None,
) -> Inserted:
    """Inserts takes at `place`: the first is heard; the others, and takes that were there before, are muted.

    The takes join a meta strip of the same clip at the same place, or go to a new one on a free channel next to the
    clip.

    Args:
        under: the clip's strip; if it was moved since the request, the sound follows it.
        made_by: the provenance kept on the strips, completed for each take.

    Raises:
        UserError: a file has the wrong format, or no channel is free. The sequence is unchanged.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    clip_strip = editor.strips_all.get(under.name) if under else None
    if under is not None and clip_strip is not None:
        place = place.moved(content_of(clip_strip).start - under.content_start)
    made_by = replace(made_by, title=title)
    made_by = replace(made_by, group=made_by.group or _group_id(editor, clip_strip, place, made_by))
    before = masters_of(editor, made_by.group)
    number = 1 + max((provenance_of(strip).number for strip in before), default=0)
    group = next((strip for strip in _groups(editor, made_by.group) if content_of(strip) == place), None)
    is_new = group is None
    if group is None:
        group = _new_group(editor, clip_strip, place, made_by)
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
        set_length(group, place.frames)  # Blender leaves a meta strip that a script fills one frame long
    for master in before:
        if shown_place(master).common(place).frames > 0:
            mark_used(master, False)
    if clip_strip is not None:
        keep(clip_strip, Provenance(role=CLIP, group=made_by.group))
        _connect(scene, clip_strip, group)
    masters = [strip for strip in new if strip.lock]
    return Inserted(group.name, tuple(InsertedTake(m.name, _name_of(preview_of(m))) for m in masters))


def _insert_take(
    group: bpy.types.MetaStrip, take: "TakeFiles", place: frames.Placement, made_by: Provenance
) -> list[bpy.types.Strip]:
    """Inserts the preview, if there is one, and the master above it. Raises UserError with nothing inserted."""
    kept = replace(
        made_by,
        options=replace(made_by.options, seed=take.seed),
        take=take.take,
        gain_db=made_by.gain_db if made_by.inpainting_sound else take.gain_db,
        sidecar=blend_path(take.sidecar) if take.sidecar else "",
        direction_map=blend_path(take.direction_map) if take.direction_map else "",
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
    editor: bpy.types.SequenceEditor, clip_strip: bpy.types.Strip | None, place: frames.Placement, made_by: Provenance
) -> bpy.types.MetaStrip:
    near = clip_strip.channel if clip_strip is not None and clip_strip.parent_meta() is None else 0
    channel = free_channels(editor, place, 1, near)[0]
    group = editor.strips.new_meta(f"{_short(made_by.title)} sound", channel, place.start)
    group.color_tag = GROUP_COLOUR
    group.select = False
    group.blend_type = "ALPHA_OVER"  # a meta strip without images then hides nothing
    keep(group, Provenance(role=GROUP, group=made_by.group, title=made_by.title, source=made_by.source))
    return group


def _groups(editor: bpy.types.SequenceEditor, group: str) -> list[bpy.types.MetaStrip]:
    found = [strip for strip in editor.strips if strip.type == "META"]
    return [s for s in found if (kept := provenance_of(s)) is not None and (kept.role, kept.group) == (GROUP, group)]


def _group_id(
    editor: bpy.types.SequenceEditor, clip_strip: bpy.types.Strip | None, place: frames.Placement, made_by: Provenance
) -> str:
    """The id of the clip strip's group, or of a group for the same source at this place, or a new one."""
    if clip_strip is not None:
        kept = provenance_of(clip_strip)
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


def _connect(scene: bpy.types.Scene, clip_strip: bpy.types.Strip, group: bpy.types.MetaStrip) -> None:
    """Connects the two strips, and those connected to the clip before, so that a click selects all."""
    if clip_strip.parent_meta() is not None:
        return  # Blender connects only strips in the same sequence
    editor = scene.sequence_editor
    together = {clip_strip.name, group.name, *(strip.name for strip in connected_to(clip_strip))}
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
