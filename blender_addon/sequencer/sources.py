"""The clip to generate sound for: the active strip, the sequence, the scene in 360°, or a file."""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import bpy

from ..blender_versions import content_of, cut_of, place_of, shown_place
from ..core import frames
from ..core.errors import UserError


@dataclass(frozen=True)
class Footage:
    """A file that the service reads as it is."""

    file: Path
    part: frames.FileSpan


@dataclass(frozen=True)
class Panorama:
    """The scene, rendered in 360° first: `width` pixels wide, every `frame_step`th frame, from the camera named
    `camera`, or from the scene's own."""

    width: int
    samples: int
    frame_step: int
    camera: str = ""


@dataclass(frozen=True)
class Sequence:
    """What the sequencer shows, rendered first; only the strip named `strip`, unless that is None.

    `width` is the maximum width in pixels.
    """

    strip: str | None
    width: int
    frame_step: int


@dataclass(frozen=True)
class ClipStrip:
    """The strip that the sound belongs to, and the start of its content at the time of the request."""

    name: str
    content_start: int


@dataclass(frozen=True)
class ClipChoice:
    """The chosen clip, and its frames on the timeline. `title` is for people, `under` the strip if the clip is one."""

    source: Footage | Panorama | Sequence
    place: frames.Placement
    title: str
    under: ClipStrip | None = None


def choose_clip(scene: bpy.types.Scene, rate: Fraction, chosen: str, camera: str = "") -> ClipChoice:
    """The clip of the source `chosen`: STRIP, RANGE, SCENE or FILE; `camera` as in Panorama. Raises UserError if there
    is none."""
    match chosen:
        case "STRIP":
            return _of_active_strip(scene, rate)
        case "RANGE":
            return _of_sequence(scene, rate)
        case "SCENE":
            return _of_scene(scene, rate, camera)
        case _:
            return _of_file(scene, rate)


def chosen_strip(scene: bpy.types.Scene) -> bpy.types.Strip | None:
    """The active strip if it is a movie strip or image strip."""
    editor = scene.sequence_editor
    strip = editor.active_strip if editor else None
    return strip if strip is not None and strip.type in ("MOVIE", "IMAGE") else None


def file_name(scene: bpy.types.Scene, strip: bpy.types.Strip) -> str:
    """The name of a movie or image strip's file, and whether the strip changes how it looks."""
    name = bpy.path.basename(strip.filepath) if strip.type == "MOVIE" else strip.elements[0].filename
    return f"{name}, as the strip shows it" if _is_changed(scene, strip) else name


def shown_range(scene: bpy.types.Scene, chosen: str) -> frames.Placement:
    """The frames of RANGE or SCENE."""
    if chosen == "RANGE" and scene.use_preview_range:
        return frames.Placement(scene.frame_preview_start, scene.frame_preview_end - scene.frame_preview_start + 1)
    return frames.Placement(scene.frame_start, scene.frame_end - scene.frame_start + 1)


def _of_active_strip(scene: bpy.types.Scene, rate: Fraction) -> ClipChoice:
    strip = chosen_strip(scene)
    if strip is None:
        raise UserError("Select a movie or image strip that shows a 360° panorama, or choose another source.")
    under = ClipStrip(strip.name, content_of(strip).start)
    file = _file_of(strip)
    if not os.path.isfile(file):  # Path.is_file raises where a name is too long
        raise UserError(
            f"The file of the strip {strip.name} is missing: {file}; find it again by File > External Data."
        )
    place = shown_place(strip)
    if not _is_changed(scene, strip):
        if strip.type == "IMAGE":
            seconds = float(place.frames / rate)
            return ClipChoice(Footage(file, frames.FileSpan(0.0, seconds)), place, strip.name, under)
        timing = _timing_of(strip, file)
        if timing.at_own_speed(rate):
            place, part = timing.part_shown(rate)
            return ClipChoice(Footage(file, part), place, strip.name, under)
    if place.frames == 0:
        raise UserError(f"The meta strip around {strip.name} shows nothing of it; move its handles.")
    return ClipChoice(_rendered_sequence(scene, rate, strip.name), place, strip.name, under)


def _file_of(strip: bpy.types.Strip) -> Path:
    if strip.type == "MOVIE":
        return Path(bpy.path.abspath(strip.filepath)).resolve()
    return (Path(bpy.path.abspath(strip.directory)) / strip.elements[0].filename).resolve()


def _is_changed(scene: bpy.types.Scene, strip: bpy.types.Strip) -> bool:
    """Whether the strip changes the file's frames or their timing."""
    return (
        strip.parent_meta() is not None
        or strip.use_reverse_frames
        or strip.use_flip_x
        or strip.use_flip_y
        or strip.transform.rotation != 0
        or (strip.type == "MOVIE" and len(strip.retiming_keys) > 0)
        or (strip.type == "IMAGE" and len(strip.elements) > 1)
        or any(other.type == "SPEED" and other.input_1 == strip for other in scene.sequence_editor.strips_all)
    )


def _timing_of(strip: bpy.types.Strip, file: Path) -> frames.VideoTiming:
    count, file_rate = _length_of(file)
    content = content_of(strip)
    cut, cut_end = cut_of(strip)
    return frames.VideoTiming(content.start, content.frames, place_of(strip), count, file_rate, cut, cut_end)


def _length_of(file: Path) -> tuple[int, Fraction]:
    """A video's number of frames and frame rate; a strip does not know the length of its file."""
    unreadable = UserError(f"Blender cannot read the video {file}; convert it first.")
    try:
        clip = bpy.data.movieclips.load(str(file))
    except RuntimeError as error:
        raise unreadable from error
    try:
        if not (clip.fps > 0 and clip.frame_duration > 0):
            raise unreadable
        return clip.frame_duration, frames.frame_rate(clip.fps)
    finally:
        bpy.data.movieclips.remove(clip)


def _rendered_sequence(scene: bpy.types.Scene, rate: Fraction, strip: str | None) -> Sequence:
    return Sequence(strip, scene.omniaudio.width // 4 * 4, _frame_step(scene, rate))


def _frame_step(scene: bpy.types.Scene, rate: Fraction) -> int:
    # Slightly fewer are enough, so that every third frame of 23.976 counts as 8 a second.
    return max(1, int(float(rate) / scene.omniaudio.frames_per_second + 0.01))


def _of_sequence(scene: bpy.types.Scene, rate: Fraction) -> ClipChoice:
    place = shown_range(scene, "RANGE")
    strips = scene.sequence_editor.strips if scene.sequence_editor else ()
    if not any(_is_visual(strip) and place_of(strip).common(place).frames > 0 for strip in strips):
        raise UserError(f"The sequencer shows nothing from frame {place.start} to {place.end - 1}; add a strip there.")
    return ClipChoice(_rendered_sequence(scene, rate, None), place, scene.name)


def _is_visual(strip: bpy.types.Strip) -> bool:
    if strip.mute or strip.type == "SOUND":
        return False
    return any(map(_is_visual, strip.strips)) if strip.type == "META" else True


def _of_scene(scene: bpy.types.Scene, rate: Fraction, camera: str) -> ClipChoice:
    if scene.camera is None and not camera:
        raise UserError(f"The scene {scene.name} has no camera; add one where the listener is.")
    settings = scene.omniaudio
    panorama = Panorama(settings.width // 4 * 4, settings.samples, _frame_step(scene, rate), camera)
    return ClipChoice(panorama, shown_range(scene, "SCENE"), scene.name)


def _of_file(scene: bpy.types.Scene, rate: Fraction) -> ClipChoice:
    setting = scene.omniaudio.file.strip()
    if not setting:
        raise UserError("Choose a file that shows a 360° panorama.")
    file = Path(bpy.path.abspath(setting)).resolve()
    if not os.path.isfile(file):
        raise UserError(f"The file {file} is missing; choose another.")
    start = scene.frame_current
    if file.suffix.lower() in bpy.path.extensions_image:
        place = frames.Placement(start, max(1, scene.frame_end - start + 1))  # a still image has no length of its own
        part = frames.FileSpan(0.0, float(place.frames / rate))
    else:
        count, file_rate = _length_of(file)
        place, part = frames.whole_file(count / file_rate, start, rate)
    return ClipChoice(Footage(file, part), place, file.stem)
