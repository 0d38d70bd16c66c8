"""The list of sources, as a part of the main panel."""

import math

import bpy

from omniaudio_client.kinds import name_of

from ..core import sound_sources
from ..props.source_list import OmniAudioSoundSource, OmniAudioSourceList, is_of, list_of, shown_clip
from .text import draw_message

MIN_ROWS = 2


class OMNIAUDIO_UL_sources(bpy.types.UIList):  # noqa: N801 (Blender's own form)
    """One line per source, and one for the bed."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: OmniAudioSourceList,
        entry: OmniAudioSoundSource,
        _icon: int,
        _active_data: OmniAudioSourceList,
        _active_property: str,
    ) -> None:
        row = layout.row(align=True)
        words = row.row(align=True)
        words.active = not entry.mute
        split = words.split(factor=0.4, align=True)
        split.label(text=name_of(entry.kind), icon="WORLD" if entry.bed else "SPEAKER")
        split = split.split(factor=0.44, align=True)
        split.label(text="around" if entry.bed else way(entry.azimuth))
        split = split.split(factor=0.44, align=True)
        split.label(text="" if entry.confidence < 0 else f"{entry.confidence:.0%}")
        split.label(text=f"{entry.gain:+.0f} dB" if round(entry.gain) else "")
        row.prop(entry, "mute", text="", icon="MUTE_IPO_OFF" if entry.mute else "MUTE_IPO_ON", emboss=False)


def way(azimuth: float) -> str:
    """An azimuth in radians as text: `32° left`."""
    degrees = round(math.degrees(azimuth))
    if degrees == 0:
        return "front"
    if abs(degrees) == 180:
        return "back"
    return f"{abs(degrees)}° {'left' if degrees > 0 else 'right'}"


def draw_sources(layout: bpy.types.UILayout, context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Draws the chosen clip's list of sources, and the button that detects them."""
    chosen = scene.omniaudio.source
    found = list_of(scene, chosen)
    if found is None:
        return
    header, body = layout.panel("omniaudio_sources")
    header.label(text="Sources")
    if body is None:
        return
    clip = shown_clip(scene, chosen)
    listed = is_of(found, clip)
    row = body.row(align=True)
    row.operator("omniaudio.detect_sources", text="Detect Again" if listed else "Detect Sources", icon="VIEWZOOM")
    if found.there:
        row.operator("omniaudio.clear_sources", text="", icon="X")
    if found.there and not listed:
        text = f"The list describes {found.clip or 'no camera'} and is not used for {clip.name or 'no camera'}"
        draw_message(body, context, text, "INFO")
    elif not listed:
        draw_message(body, context, "Without a list, sources are detected when sound is generated", "INFO")
    else:
        _draw_list(body, context, found)
        if clip.last > clip.first and (clip.first < found.first or clip.last > found.last):
            draw_message(body, context, "The clip now shows more than was analysed: detect again", "INFO")


def _draw_list(layout: bpy.types.UILayout, context: bpy.types.Context, found: OmniAudioSourceList) -> None:
    if all(entry.bed for entry in found.entries):
        draw_message(layout, context, "No source was found; add one with the plus button", "INFO")
    row = layout.row()
    row.template_list("OMNIAUDIO_UL_sources", "", found, "entries", found, "active", rows=MIN_ROWS)
    column = row.column(align=True)
    column.operator("omniaudio.add_source", text="", icon="ADD")
    column.operator("omniaudio.remove_source", text="", icon="REMOVE").index = found.active
    if 0 <= found.active < len(found.entries):
        _draw_entry(layout, found.entries[found.active], found.active)


def _draw_entry(layout: bpy.types.UILayout, entry: OmniAudioSoundSource, index: int) -> None:
    column = layout.column()
    split = column.split(factor=0.4)
    label = split.row()
    label.alignment = "RIGHT"
    label.label(text="Kind")
    button = split.operator("omniaudio.choose_kind", text=name_of(entry.kind), icon="DOWNARROW_HLT")
    button.index, button.bed = index, entry.bed
    column.prop(entry, "gain", text="Gain (dB)")
    if entry.bed:
        return
    moves = sound_sources.moves(sound_sources.parsed(entry.detected))
    column.prop(entry, "azimuth", text="Starts at" if moves else "To the Left")
    column.prop(entry, "elevation", text="Up")


CLASSES = (OMNIAUDIO_UL_sources,)
