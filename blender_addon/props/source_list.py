"""A clip's list of sources as properties of its strip, or of the scene if the clip is no strip. So it is saved, undone,
copied and cut with them.

An entry keeps what the service detected (`detected`) and beside it what the user may change. Directions are relative to
the panorama, whatever the sound follows: its centre is the front.
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
"""The confidence of what the user has chosen."""


def _renamed(entry: "OmniAudioSoundSource", _context: bpy.types.Context) -> None:
    """Sets the name, by which Blender filters, and drops the confidence of a kind that the user has chosen."""
    entry.name = name_of(entry.kind)
    detected = sound_sources.parsed(entry.detected)
    entry.confidence = detected.get("confidence", UNKNOWN) if detected.get("kind") == entry.kind else UNKNOWN


class OmniAudioSoundSource(bpy.types.PropertyGroup):
    """A source, or the bed that surrounds the listener."""

    detected: StringProperty(options={"HIDDEN"}, description="The entry as it was detected, as JSON")
    bed: BoolProperty(options={"HIDDEN"}, description="It surrounds the listener")
    confidence: FloatProperty(options={"HIDDEN"}, description="0 to 1; -1: the user has chosen the kind")
    kind: StringProperty(name="Kind", description="The source's kind, by its id in the table of kinds", update=_renamed)
    mute: BoolProperty(name="Mute", description="Leave this source out of the sound")
    gain: FloatProperty(
        name="Gain", description="Decibels added to the level", min=-60.0, max=24.0, step=100, precision=1
    )
    azimuth: FloatProperty(
        name="Azimuth",
        description="To the left of the panorama's centre. For a moving source the start of its path, which is "
        "rotated as a whole",
        subtype="ANGLE",
        min=-math.pi,
        max=math.pi,
        step=500,
        precision=1,
    )
    elevation: FloatProperty(
        name="Elevation",
        description="Up from the panorama's horizon. For a moving source the start of its path, which is moved "
        "as a whole",
        subtype="ANGLE",
        min=-math.pi / 2,
        max=math.pi / 2,
        step=500,
        precision=1,
    )


class OmniAudioSourceList(bpy.types.PropertyGroup):
    """A clip's sources, and last the bed."""

    entries: CollectionProperty(type=OmniAudioSoundSource)
    active: IntProperty(name="Source", description="The source shown below")
    there: BoolProperty(options={"HIDDEN"}, description="There is a list; it may be empty")
    detected: StringProperty(options={"HIDDEN"}, description="What else was detected, as JSON")
    clip: StringProperty(options={"HIDDEN"}, description="Name of the clip that the list describes")
    rendered: BoolProperty(options={"HIDDEN"}, description="Its times count from the first analysed frame")
    first: IntProperty(options={"HIDDEN"}, description="The first analysed frame")
    last: IntProperty(options={"HIDDEN"}, description="The frame after the last analysed one")


@dataclass(frozen=True)
class ListedClip:
    """The clip that a list describes: its name, and its frames from `first` up to but not including `last`, counted
    from the start of the strip's content or, without a strip, on the timeline. The times of a `rendered` clip count
    from `first`."""

    name: str
    first: int
    last: int
    rendered: bool = False

    def seconds_before(self, other: "ListedClip", rate: Fraction) -> float:
        """The offset from this clip's times to the other's, in seconds; `rate` is frames a second."""
        return float(((other.first if other.rendered else 0) - (self.first if self.rendered else 0)) / rate)


def shown_clip(scene: bpy.types.Scene, chosen: str) -> ListedClip:
    """The clip that a new list would describe. Cheap enough for drawing."""
    match chosen:
        case "STRIP":
            strip = chosen_strip(scene)
            if strip is None:
                return ListedClip("", 0, 0)
            content = content_of(strip)
            place = shown_place(strip).common(content).moved(-content.start)
            return ListedClip(file_name(scene, strip), place.start, place.end)
        case "FILE":
            return ListedClip(bpy.path.basename(scene.omniaudio.file), 0, 0)
    place = shown_range(scene, chosen)
    camera = scene.camera.name if scene.camera else ""
    return ListedClip(camera if chosen == "SCENE" else scene.name, place.start, place.end, rendered=True)


def list_of(scene: bpy.types.Scene, chosen: str, strip: str = "") -> OmniAudioSourceList | None:
    """The list of a clip, which may be empty: for STRIP that of the strip named `strip`, or of the active one. None if
    there is no such strip."""
    if chosen != "STRIP":
        return getattr(scene.omniaudio, f"sources_{chosen.lower()}")
    if strip:
        holder = scene.sequence_editor.strips_all.get(strip) if scene.sequence_editor else None
    else:
        holder = chosen_strip(scene)
    return None if holder is None else holder.omniaudio_sources


def is_of(found: OmniAudioSourceList, clip: ListedClip) -> bool:
    """Whether there is a list, and it describes this clip."""
    return found.there and found.clip == clip.name


def fill(found: OmniAudioSourceList, detected: Entry, clip: ListedClip) -> None:
    """Fills the list with detected sources."""
    clear(found)
    for entry in detected.get("sources") or ():
        _add(found, entry)
    if detected.get("bed"):
        _add(found, detected["bed"], bed=True)
    found.detected = json.dumps({name: value for name, value in detected.items() if name not in ("sources", "bed")})
    found.clip, found.first, found.last, found.rendered = clip.name, clip.first, clip.last, clip.rendered
    found.there = True


def clear(found: OmniAudioSourceList) -> None:
    """Removes the list."""
    found.entries.clear()
    found.property_unset("active")
    found.there = False
    found.detected = found.clip = ""


def add(found: OmniAudioSourceList, kind: str, bed: bool) -> None:
    """Adds a source in front, or sets the bed, and makes it active."""
    before = _bed_index(found)
    if bed and before is not None:
        found.entries[before].kind = kind
        found.active = before
        return
    _add(found, sound_sources.new_bed(kind) if bed else sound_sources.new_source(kind), bed=bed)
    found.active = len(found.entries) - 1
    if not bed and before is not None:  # the bed stays last
        found.entries.move(found.active, before)
        found.active = before


def remove(found: OmniAudioSourceList, index: int) -> None:
    """Removes an entry. Raises UserError if there is none."""
    entry_at(found, index)
    found.entries.remove(index)
    found.active = max(0, min(found.active, len(found.entries) - 1))


def entry_at(found: OmniAudioSourceList, index: int) -> OmniAudioSoundSource:
    """The entry at `index`, to be used at once: Blender may move it. Raises UserError if there is none."""
    if not 0 <= index < len(found.entries):
        raise UserError("Select a source in the list.")
    return found.entries[index]


def request_sources(found: OmniAudioSourceList, clip: ListedClip, rate: Fraction, seconds: float) -> Entry:
    """The list as the service accepts it, with times for `clip`, which lasts `seconds`; `rate` is frames a second."""
    shift = clip.seconds_before(ListedClip(found.clip, found.first, found.last, found.rendered), rate)
    whole = {"version": 1, "seconds": seconds} | sound_sources.parsed(found.detected)
    if shift:  # sources that last to the end still do
        whole["seconds"] = max(seconds, round(whole["seconds"] + shift, 3))
    sources, bed = [], None
    for entry in found.entries:
        detected = sound_sources.changed(
            sound_sources.parsed(entry.detected),
            kind=entry.kind,
            gain=entry.gain,
            mute=entry.mute,
            azimuth=math.degrees(entry.azimuth),
            elevation=math.degrees(entry.elevation),
        )
        if entry.bed:
            bed = detected
        elif not shift:
            sources.append(detected)
        elif (moved := sound_sources.later(detected, shift)) is not None:
            sources.append(moved)
    return whole | {"sources": sources, "bed": bed}


def _add(found: OmniAudioSourceList, detected: Entry, bed: bool = False) -> None:
    entry = found.entries.add()
    entry.detected, entry.bed = json.dumps(detected), bed
    entry.kind = str(detected.get("kind", ""))
    entry.gain, entry.mute = float(detected.get("gain", 0.0)), bool(detected.get("mute", False))
    entry.azimuth, entry.elevation = map(math.radians, sound_sources.direction(detected))


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
