"""The list of what sounds in a picture, as Blender keeps it: with the picture's strip, or with the scene where the
picture is in no strip. So it is saved, undone, copied and cut with them.

An entry keeps what the engine has told (`told`), and beside it what a person may change. Directions are the picture's,
whatever the sound follows: the front is its middle.
"""

import json
import math
from dataclasses import dataclass
from fractions import Fraction

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from omniaudio_client.kinds import name_of

from ..blender_versions import content_of, shown_place
from ..core import sound_sources
from ..core.errors import UserError
from ..core.sound_sources import Entry
from ..sequencer.sources import chosen_strip, file_name, shown_range

UNKNOWN = -1.0
"""A confidence that is nobody's: of what a person has chosen."""


def _renamed(entry: "OmniAudioSoundSource", _context: bpy.types.Context) -> None:
    """The list is filtered by names; and what a person has chosen is in no doubt."""
    entry.name = name_of(entry.kind)
    told = sound_sources.parsed(entry.told)
    entry.confidence = told.get("confidence", UNKNOWN) if told.get("kind") == entry.kind else UNKNOWN


class OmniAudioSoundSource(bpy.types.PropertyGroup):
    """One thing that sounds, or the bed that surrounds the listener."""

    told: StringProperty(options={"HIDDEN"}, description="The entry as the engine told it, in JSON")
    bed: BoolProperty(options={"HIDDEN"}, description="It surrounds the listener")
    confidence: FloatProperty(options={"HIDDEN"}, description="0 to 1; -1 of what a person has chosen")
    kind: StringProperty(name="Kind", description="What sounds, by its id in the table of kinds", update=_renamed)
    mute: BoolProperty(name="Mute", description="It is not to be heard")
    gain: FloatProperty(
        name="Gain", description="Decibels added to its level", min=-60.0, max=24.0, step=100, precision=1
    )
    azimuth: FloatProperty(
        name="Azimuth",
        description="To the left of the picture's middle; of a source that moves where it begins, and its whole path "
        "turns with it",
        subtype="ANGLE",
        min=-math.pi,
        max=math.pi,
        step=500,
        precision=1,
    )
    elevation: FloatProperty(
        name="Elevation",
        description="Up from the picture's horizon; of a source that moves where it begins, and its whole path goes "
        "with it",
        subtype="ANGLE",
        min=-math.pi / 2,
        max=math.pi / 2,
        step=500,
        precision=1,
    )


class OmniAudioSourceList(bpy.types.PropertyGroup):
    """What sounds in a picture: the things, and last the bed."""

    entries: CollectionProperty(type=OmniAudioSoundSource)
    active: IntProperty(name="Source", description="The source that is shown below")
    there: BoolProperty(options={"HIDDEN"}, description="There is a list, though it may be empty")
    told: StringProperty(options={"HIDDEN"}, description="What else the engine told, in JSON")
    clip: StringProperty(options={"HIDDEN"}, description="Of what picture it is")
    rendered: BoolProperty(options={"HIDDEN"}, description="Its times count from the first frame that was looked at")
    first: IntProperty(options={"HIDDEN"}, description="The first frame that was looked at")
    last: IntProperty(options={"HIDDEN"}, description="The frame after the last one")


@dataclass(frozen=True)
class Clip:
    """What a list is of: a picture by its name, and its frames from `first` until before `last`, as counted from the
    strip's content or, without a strip, on the timeline. A `rendered` one begins with the first of them."""

    name: str
    first: int
    last: int
    rendered: bool = False

    def seconds_before(self, other: "Clip", rate: Fraction) -> float:
        """How much earlier the times of this one count from."""
        return float(((other.first if other.rendered else 0) - (self.first if self.rendered else 0)) / rate)


def shown_clip(scene: bpy.types.Scene, chosen: str) -> Clip:
    """What a list would be of now. Cheap enough to be drawn."""
    match chosen:
        case "STRIP":
            strip = chosen_strip(scene)
            if strip is None:
                return Clip("", 0, 0)
            content = content_of(strip)
            place = shown_place(strip).common(content).moved(-content.start)
            return Clip(file_name(scene, strip), place.start, place.end)
        case "FILE":
            return Clip(bpy.path.basename(scene.omniaudio.file), 0, 0)
    place = shown_range(scene, chosen)
    camera = scene.camera.name if scene.camera else ""
    return Clip(camera if chosen == "SCENE" else scene.name, place.start, place.end, rendered=True)


def list_of(scene: bpy.types.Scene, chosen: str, strip: str = "") -> OmniAudioSourceList | None:
    """The list of a picture, with or without something in it: of the strip with this name, else of the active one.
    None where there is no such strip."""
    if chosen != "STRIP":
        return getattr(scene.omniaudio, f"sources_{chosen.lower()}")
    if strip:
        holder = scene.sequence_editor.strips_all.get(strip) if scene.sequence_editor else None
    else:
        holder = chosen_strip(scene)
    return None if holder is None else holder.omniaudio_sources


def is_of(found: OmniAudioSourceList, clip: Clip) -> bool:
    """Whether there is a list, and it is of this picture."""
    return found.there and found.clip == clip.name


def fill(found: OmniAudioSourceList, told: Entry, clip: Clip) -> None:
    """Has the list be what the engine told."""
    clear(found)
    for entry in told.get("sources") or ():
        _add(found, entry)
    if told.get("bed"):
        _add(found, told["bed"], bed=True)
    found.told = json.dumps({name: value for name, value in told.items() if name not in ("sources", "bed")})
    found.clip, found.first, found.last, found.rendered = clip.name, clip.first, clip.last, clip.rendered
    found.there = True


def clear(found: OmniAudioSourceList) -> None:
    """There is no list then."""
    found.entries.clear()
    found.property_unset("active")
    found.there = False
    found.told = found.clip = ""


def add(found: OmniAudioSourceList, kind: str, bed: bool) -> None:
    """Puts something of this kind into the list, and shows it: a source in front, or the bed, of which there is one."""
    before = _bed_index(found)
    if bed and before is not None:
        found.entries[before].kind = kind
        found.active = before
        return
    _add(found, sound_sources.new_bed(kind) if bed else sound_sources.new_source(kind), bed=bed)
    found.active = len(found.entries) - 1
    if not bed and before is not None:  # the bed stays the last one
        found.entries.move(found.active, before)
        found.active = before


def remove(found: OmniAudioSourceList, index: int) -> None:
    """Takes an entry out. Raises UserError where there is none."""
    entry_at(found, index)
    found.entries.remove(index)
    found.active = max(0, min(found.active, len(found.entries) - 1))


def entry_at(found: OmniAudioSourceList, index: int) -> OmniAudioSoundSource:
    """The entry, which is to be used at once. Raises UserError where there is none."""
    if not 0 <= index < len(found.entries):
        raise UserError("Select a source in the list.")
    return found.entries[index]


def as_told(found: OmniAudioSourceList, clip: Clip, rate: Fraction, seconds: float) -> Entry:
    """The list as the engine takes it, for this clip of the same picture, which lasts `seconds`; `rate` is frames a
    second."""
    shift = clip.seconds_before(Clip(found.clip, found.first, found.last, found.rendered), rate)
    whole = {"version": 1, "seconds": seconds} | sound_sources.parsed(found.told)
    if shift:  # what goes on to the end still does
        whole["seconds"] = max(seconds, round(whole["seconds"] + shift, 3))
    sources, bed = [], None
    for entry in found.entries:
        told = sound_sources.changed(
            sound_sources.parsed(entry.told),
            kind=entry.kind,
            gain=entry.gain,
            mute=entry.mute,
            azimuth=math.degrees(entry.azimuth),
            elevation=math.degrees(entry.elevation),
        )
        if entry.bed:
            bed = told
        elif not shift:
            sources.append(told)
        elif (moved := sound_sources.later(told, shift)) is not None:
            sources.append(moved)
    return whole | {"sources": sources, "bed": bed}


def _add(found: OmniAudioSourceList, told: Entry, bed: bool = False) -> None:
    entry = found.entries.add()
    entry.told, entry.bed = json.dumps(told), bed
    entry.kind = str(told.get("kind", ""))
    entry.gain, entry.mute = float(told.get("gain", 0.0)), bool(told.get("mute", False))
    entry.azimuth, entry.elevation = map(math.radians, sound_sources.direction(told))


def _bed_index(found: OmniAudioSourceList) -> int | None:
    return next((index for index, entry in enumerate(found.entries) if entry.bed), None)


CLASSES = (OmniAudioSoundSource, OmniAudioSourceList)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Strip.omniaudio_sources = PointerProperty(type=OmniAudioSourceList)


def unregister() -> None:
    del bpy.types.Strip.omniaudio_sources
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
