"""What the sequencer shows, or one of its strips alone, as a video: from a copy of the sequence."""

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
    """A copy of `scene` that renders its sequence into `target`; it goes at the end.

    Raises UserError if the sequence or the strip is gone.
    """
    with copy_of(scene) as copy:
        if copy.sequence_editor is None:
            raise UserError(f"The scene {scene.name} has no sequence any more; choose another source.")
        render = copy.render
        if settings.strip is not None:
            strip = copy.sequence_editor.strips_all.get(settings.strip)
            if strip is None:
                raise UserError(f"The strip {settings.strip} is gone; select another.")
            _show_alone(copy.sequence_editor, strip)
            _fill_picture(render, strip, settings.width)
        render.resolution_percentage = _percentage(render.resolution_x, render.resolution_y, settings.width)
        render.use_sequencer = True
        with suppress(TypeError):  # Cycles is not enabled
            render.engine = "CYCLES"  # the sequence itself needs none, and EEVEE may wait for a GPU without a window
        render_to(copy, place, settings.frame_step, target)
        yield copy


def _show_alone(editor: bpy.types.SequenceEditor, strip: bpy.types.Strip) -> None:
    """Mutes all but the strip, the meta strips around it, and the effects that are made of nothing but it."""
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


def _fill_picture(render: bpy.types.RenderSettings, strip: bpy.types.Strip, width: int) -> None:
    """Has the strip fill the whole picture, which gets the shape of its file."""
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


def _percentage(width: int, height: int, most: int) -> int:
    """The largest percentage at which the picture is not wider than `most`, and has the even sizes that H.264 asks
    for; 100 if there is none."""
    for percentage in range(min(100, most * 100 // width), 0, -1):
        if width * percentage // 100 % 2 == 0 and height * percentage // 100 % 2 == 0:
            return percentage
    return 100
