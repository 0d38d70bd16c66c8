"""Renders what the sequencer shows, or one strip alone, from a copy of the sequence."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy

from ..core.errors import UserError
from ..core.frames import Placement
from ..sequencer.sources import Sequence
from .scene_copy import copy_of, render_to


@contextmanager
def sequence_scene(
    scene: bpy.types.Scene, settings: Sequence, place: Placement, target: Path
) -> Iterator[bpy.types.Scene]:
    """A copy of `scene` that renders its sequence into `target`; removed on exit.

    Raises UserError if the sequence or the strip is gone.
    """
    with copy_of(scene) as copy:
        if copy.sequence_editor is None:
            raise UserError(f"The scene {scene.name} no longer has a sequence; choose another source.")
        render = copy.render
        if settings.strip is not None:
            strip = copy.sequence_editor.strips_all.get(settings.strip)
            if strip is None:
                raise UserError(f"The strip {settings.strip} is gone; select another.")
            _show_alone(copy.sequence_editor, strip)
            _fill_frame(render, strip, settings.width)
        render.resolution_percentage = _percentage(render.resolution_x, render.resolution_y, settings.width)
        render.use_sequencer = True
        with suppress(TypeError):  # Cycles is not enabled
            render.engine = "CYCLES"  # a sequence needs no render engine, and EEVEE may wait for a GPU without a window
        render_to(copy, place, settings.frame_step, target)
        yield copy


def _show_alone(editor: bpy.types.SequenceEditor, strip: bpy.types.Strip) -> None:
    """Mutes all strips but this one, the meta strips around it, and the effects whose only input it is."""
    shown = {strip.name}
    holder = strip
    while (holder := holder.parent_meta()) is not None:
        shown.add(holder.name)
    effects = [other for other in editor.strips_all if getattr(other, "input_1", None) is not None]
    grew = True
    while grew:
        added = {e.name for e in effects if e.input_1.name in shown and getattr(e, "input_2", None) is None} - shown
        grew = bool(added)
        shown |= added
    for other in editor.strips_all:
        other.mute = other.name not in shown
        if other.name in shown:
            holder = other.parent_meta() or editor
            holder.channels[other.channel].mute = False


def _fill_frame(render: bpy.types.RenderSettings, strip: bpy.types.Strip, width: int) -> None:
    """Makes the render as large as the strip's file, at most `width` pixels wide, and the strip fill it."""
    element = strip.elements[0]
    if not (element.orig_width and element.orig_height):
        raise UserError(f"Blender cannot read the file of the strip {strip.name}; convert it first.")
    scale = min(1.0, width / element.orig_width)
    render.resolution_x = max(4, round(element.orig_width * scale / 4) * 4)
    render.resolution_y = max(4, round(element.orig_height * scale / 4) * 4)
    transform = strip.transform
    transform.offset_x = transform.offset_y = 0
    transform.scale_x = render.resolution_x / element.orig_width
    transform.scale_y = render.resolution_y / element.orig_height


def _percentage(width: int, height: int, max_width: int) -> int:
    """The largest percentage at which the render is at most `max_width` wide and has even sizes, as H.264 requires; 100
    if there is none."""
    for percentage in range(min(100, max_width * 100 // width), 0, -1):
        if width * percentage // 100 % 2 == 0 and height * percentage // 100 % 2 == 0:
            return percentage
    return 100
