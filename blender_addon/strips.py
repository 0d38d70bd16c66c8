"""The made sound in the sequencer: an AmbiX master that is kept, and a binaural preview that is heard."""

from dataclasses import dataclass
from pathlib import Path

import bpy

from . import engine, frames
from .errors import UserError

MASTER_COLOUR, PREVIEW_COLOUR = "COLOR_05", "COLOR_04"
PROPERTY = "omniaudio"  # of a strip: what made it


@dataclass(frozen=True)
class Inserted:
    """The names of the new strips, as Blender chose them."""

    master: str
    preview: str | None


def insert_take(
    scene: bpy.types.Scene,
    take: engine.Take,
    place: frames.Placement,
    title: str,
    made_by: dict[str, str | int | float],
) -> Inserted:
    """Places a take at `place`, on channels that are free now.

    Blender takes four channels for four loudspeakers, which ambisonics is not: the master is muted and locked, and
    carries the sound unchanged; what is heard is the preview. `made_by` is kept on both. Raises UserError, with
    nothing inserted, if a file is not what it should be or there is no room.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    closed = frozenset(number for number, channel in enumerate(editor.channels) if channel.lock or channel.mute)
    taken = [(s.channel, frames.Placement(s.frame_final_start, s.frame_final_duration)) for s in editor.strips]
    files = [take.ambix] if take.preview is None else [take.preview, take.ambix]  # what is heard lies lower
    channels = frames.free_channels(taken, place, len(files), closed)
    new: list[bpy.types.Strip] = []
    try:
        for file, channel in zip(files, channels, strict=True):
            is_master = file == take.ambix
            kind = "AmbiX" if is_master else "preview"
            strip = _new_sound(editor, f"{title} {kind}", file, channel, place)
            new.append(strip)
            _check(strip, "CHANNELS_4" if is_master else "STEREO", file)
            strip.color_tag = MASTER_COLOUR if is_master else PREVIEW_COLOUR
            strip[PROPERTY] = {**made_by, "role": "master" if is_master else "preview"}
            if is_master:
                strip.mute = strip.lock = True
    except UserError:
        for strip in new:
            editor.strips.remove(strip)
        raise
    return Inserted(new[-1].name, new[0].name if len(new) > 1 else None)


def _new_sound(
    editor: bpy.types.SequenceEditor, name: str, file: Path, channel: int, place: frames.Placement
) -> bpy.types.Strip:
    strip = editor.strips.new_sound(name, blend_path(file), channel, place.start)
    strip.frame_final_duration = min(strip.frame_final_duration, place.frames)
    return strip


def _check(strip: bpy.types.Strip, channels: str, file: Path) -> None:
    """Blender makes a strip of any file, even of one that it cannot read."""
    if strip.sound.channels != channels:
        raise UserError(f"Blender does not read {file} as {channels.lower().replace('_', ' ')}; make the sound again.")


def blend_path(file: Path) -> str:
    """The path as the .blend keeps it: beginning with `//` where the .blend is saved and on the same drive."""
    if not bpy.data.filepath:
        return str(file)
    try:
        return bpy.path.relpath(str(file))
    except ValueError:  # another drive of Windows
        return str(file)
