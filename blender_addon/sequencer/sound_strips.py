"""Our sound strips: created with a check that Blender can read them, and found by their provenance."""

import os
from dataclasses import replace
from pathlib import Path

import bpy

from ..blender_versions import place_of, set_length
from ..core import frames
from ..core.errors import UserError
from ..core.provenance import MASTER, PREVIEW, Provenance, keep, provenance_of

MASTER_COLOUR, PREVIEW_COLOUR = "COLOR_05", "COLOR_04"
CHANNELS = {MASTER: "CHANNELS_4", PREVIEW: "STEREO"}
"""Blender's name for the file's channels, by the strip's role."""

Holder = bpy.types.SequenceEditor | bpy.types.MetaStrip
"""What strips can be in."""


def holder_of(strip: bpy.types.Strip) -> Holder:
    """The meta strip around a strip, or the sequence."""
    return strip.parent_meta() or strip.id_data.sequence_editor


def free_channels(holder: Holder, place: frames.Placement, count: int, near: int = 0) -> list[int]:
    """`count` channels that are free at `place` and neither muted nor locked, the nearest to `near` first.

    Raises UserError if fewer are free.
    """
    closed = frozenset(number for number, channel in enumerate(holder.channels) if channel.lock or channel.mute)
    taken = [(strip.channel, place_of(strip)) for strip in holder.strips]
    return frames.free_channels(taken, place, count, closed, near)


def new_sound_strip(
    holder: Holder, name: str, file: Path, *, channel: int, place: frames.Placement, kept: Provenance
) -> bpy.types.Strip:
    """A strip of the role in `kept`. Raises UserError, without a new strip, if the file does not have the channels of
    its role."""
    strip = holder.strips.new_sound(name, blend_path(file), channel, place.start)
    try:
        _check(strip.sound, kept.role, file)
    except UserError:
        remove(holder, strip)
        raise
    set_length(strip, min(place_of(strip).frames, place.frames))
    strip.color_tag = MASTER_COLOUR if kept.role == MASTER else PREVIEW_COLOUR
    strip.mute = kept.role == MASTER or not kept.used
    strip.lock = kept.role == MASTER
    strip.select = False  # Blender selects new strips, and the user's next move would include it
    keep(strip, kept)
    return strip


def load_sound(file: Path, role: str) -> bpy.types.Sound:
    """Loads a file for a strip of this role. Raises UserError if it does not have the role's channels."""
    try:
        sound = bpy.data.sounds.load(blend_path(file), check_existing=True)
    except RuntimeError as error:
        raise UserError(f"Blender cannot read the sound {file}; generate it anew.") from error
    try:
        _check(sound, role, file)
    except UserError:
        _forget(sound)
        raise
    return sound


def remove(holder: Holder, strip: bpy.types.Strip) -> None:
    """Removes the strip, and its sound if nothing else uses it."""
    sound = strip.sound if strip.type == "SOUND" else None
    holder.strips.remove(strip)
    if sound is not None:
        _forget(sound)


def masters_of(editor: bpy.types.SequenceEditor, group: str) -> list[bpy.types.Strip]:
    """The masters of all takes of a group, inside and outside of meta strips."""
    return [
        strip
        for strip in editor.strips_all
        if (kept := _kept(strip)) is not None and (kept.role, kept.group) == (MASTER, group)
    ]


def preview_of(master: bpy.types.Strip) -> bpy.types.Strip | None:
    """The preview strip of a master's take; None if there is none."""
    wanted = replace(provenance_of(master), role=PREVIEW)
    for strip in holder_of(master).strips:
        kept = _kept(strip)
        if (
            kept is not None
            and (kept.role, kept.group, kept.number) == (PREVIEW, wanted.group, wanted.number)
            and place_of(strip).common(place_of(master)).frames > 0
        ):
            return strip
    return None


def mark_used(master: bpy.types.Strip, used: bool) -> None:
    """Marks a take as heard or not, and mutes its preview accordingly."""
    keep(master, replace(provenance_of(master), used=used))
    preview = preview_of(master)
    if preview is not None:
        preview.mute = not used


def blend_path(file: Path) -> str:
    """The path for the .blend: relative (`//`) if the .blend is saved and on the same drive."""
    if not bpy.data.filepath:
        return str(file)
    try:
        return bpy.path.relpath(str(file))
    except ValueError:  # another drive of Windows
        return str(file)


def kept_file(kept: str, what: str) -> Path:
    """A file from a strip's provenance. Raises UserError if it is missing."""
    file = Path(bpy.path.abspath(kept)).resolve() if kept else None
    if file is None or not os.path.isfile(file):  # Path.is_file raises where a name is too long
        raise UserError(f"{what} is missing ({file or 'the strip names no file'}); put it back there.")
    return file


def _kept(strip: bpy.types.Strip) -> Provenance | None:
    return provenance_of(strip) if strip.type == "SOUND" else None


def _check(sound: bpy.types.Sound | None, role: str, file: Path) -> None:
    """Blender creates a strip from any file, even if it cannot read it."""
    if sound is None or sound.channels != CHANNELS[role]:
        wanted = CHANNELS[role].lower().replace("_", " ")
        raise UserError(f"Blender does not read {file} as {wanted}; generate the sound anew.")


def _forget(sound: bpy.types.Sound) -> None:
    if sound.users == 0:
        bpy.data.sounds.remove(sound)
