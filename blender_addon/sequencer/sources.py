"""The picture that sound is wanted for: the active strip, the sequence, the scene in 360°, or a file."""

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
    """A file that the engine looks at as it is."""

    file: Path
    part: frames.FileSpan


@dataclass(frozen=True)
class Panorama:
    """The scene, to be rendered in 360° first: `width` pixels, every `frame_step`th frame, from the camera with the
    name `camera`, or else from the scene's own."""

    width: int
    samples: int
    frame_step: int
    camera: str = ""


@dataclass(frozen=True)
class Sequence:
    """What the sequencer shows, to be rendered first; of the strip named `strip` alone, unless that is None.

    `width` is the most that the picture may have, in pixels.
    """

    strip: str | None
    width: int
    frame_step: int


@dataclass(frozen=True)
class PictureStrip:
    """The strip that the sound belongs to, and where its content began when the sound was asked for."""

    name: str
    content_start: int


@dataclass(frozen=True)
class Picture:
    """What was chosen, and where it is seen. `title` is a name to read, `under` the strip if it is one."""

    source: Footage | Panorama | Sequence
    place: frames.Placement
    title: str
    under: PictureStrip | None = None


def choose_picture(scene: bpy.types.Scene, rate: Fraction, chosen: str, camera: str = "") -> Picture:
    """The picture that is chosen: STRIP, RANGE, SCENE or FILE; `camera` is as of Panorama. Raises UserError where there
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
    """The active strip if it is a movie or an image."""
    editor = scene.sequence_editor
    strip = editor.active_strip if editor else None
    return strip if strip is not None and strip.type in ("MOVIE", "IMAGE") else None


def file_name(scene: bpy.types.Scene, strip: bpy.types.Strip) -> str:
    """The name of the file that a movie or image strip shows, and whether it shows it otherwise than it is."""
    name = bpy.path.basename(strip.filepath) if strip.type == "MOVIE" else strip.elements[0].filename
    return f"{name}, as the strip shows it" if _is_changed(scene, strip) else name


def shown_range(scene: bpy.types.Scene, chosen: str) -> frames.Placement:
    """The frames of RANGE or SCENE."""
    if chosen == "RANGE" and scene.use_preview_range:
        return frames.Placement(scene.frame_preview_start, scene.frame_preview_end - scene.frame_preview_start + 1)
    return frames.Placement(scene.frame_start, scene.frame_end - scene.frame_start + 1)


def _of_active_strip(scene: bpy.types.Scene, rate: Fraction) -> Picture:
    strip = chosen_strip(scene)
    if strip is None:
        raise UserError("Select a movie or image strip that shows a 360° picture, or choose another source.")
    under = PictureStrip(strip.name, content_of(strip).start)
    file = _file_of(strip)
    if not os.path.isfile(file):  # Path.is_file raises where a name is too long
        raise UserError(
            f"The file of the strip {strip.name} is missing: {file}; find it again by File > External Data."
        )
    place = shown_place(strip)
    if not _is_changed(scene, strip):
        if strip.type == "IMAGE":
            seconds = float(place.frames / rate)
            return Picture(Footage(file, frames.FileSpan(0.0, seconds)), place, strip.name, under)
        timing = _timing_of(strip, file)
        if timing.at_own_speed(rate):
            place, part = timing.part_shown(rate)
            return Picture(Footage(file, part), place, strip.name, under)
    if place.frames == 0:
        raise UserError(f"The meta strip around {strip.name} shows nothing of it; move its handles.")
    return Picture(_rendered_sequence(scene, rate, strip.name), place, strip.name, under)


def _file_of(strip: bpy.types.Strip) -> Path:
    if strip.type == "MOVIE":
        return Path(bpy.path.abspath(strip.filepath)).resolve()
    return (Path(bpy.path.abspath(strip.directory)) / strip.elements[0].filename).resolve()


def _is_changed(scene: bpy.types.Scene, strip: bpy.types.Strip) -> bool:
    """Whether the strip shows something else than its file does, or at other times."""
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


def _timing_of(strip: bpy.types.Strip, file: Path) -> frames.MovieTiming:
    count, file_rate = _length_of(file)
    content = content_of(strip)
    cut, cut_end = cut_of(strip)
    return frames.MovieTiming(content.start, content.frames, place_of(strip), count, file_rate, cut, cut_end)


def _length_of(file: Path) -> tuple[int, Fraction]:
    """A video's frames and frames a second. A strip does not tell its file's length."""
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
    # A little fewer will do, so that every third frame of 23.976 is 8 a second.
    return max(1, int(float(rate) / scene.omniaudio.pictures_per_second + 0.01))


def _of_sequence(scene: bpy.types.Scene, rate: Fraction) -> Picture:
    place = shown_range(scene, "RANGE")
    strips = scene.sequence_editor.strips if scene.sequence_editor else ()
    if not any(_shows_picture(strip) and place_of(strip).common(place).frames > 0 for strip in strips):
        raise UserError(
            f"The sequencer shows no picture from frame {place.start} to {place.end - 1}; add a strip there."
        )
    return Picture(_rendered_sequence(scene, rate, None), place, scene.name)


def _shows_picture(strip: bpy.types.Strip) -> bool:
    if strip.mute or strip.type == "SOUND":
        return False
    return any(map(_shows_picture, strip.strips)) if strip.type == "META" else True


def _of_scene(scene: bpy.types.Scene, rate: Fraction, camera: str) -> Picture:
    if scene.camera is None and not camera:
        raise UserError(f"The scene {scene.name} has no camera; add one where the listener is.")
    settings = scene.omniaudio
    panorama = Panorama(settings.width // 4 * 4, settings.samples, _frame_step(scene, rate), camera)
    return Picture(panorama, shown_range(scene, "SCENE"), scene.name)


def _of_file(scene: bpy.types.Scene, rate: Fraction) -> Picture:
    setting = scene.omniaudio.file.strip()
    if not setting:
        raise UserError("Choose the file that shows a 360° picture.")
    file = Path(bpy.path.abspath(setting)).resolve()
    if not os.path.isfile(file):
        raise UserError(f"The file {file} is missing; choose another.")
    start = scene.frame_current
    if file.suffix.lower() in bpy.path.extensions_image:
        place = frames.Placement(start, max(1, scene.frame_end - start + 1))  # a still has no length of its own
        part = frames.FileSpan(0.0, float(place.frames / rate))
    else:
        count, file_rate = _length_of(file)
        place, part = frames.whole_file(count / file_rate, start, rate)
    return Picture(Footage(file, part), place, file.stem)
