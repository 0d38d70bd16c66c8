"""Direction maps of a take, drawn over its panorama: a video or an image in the sequencer."""

from pathlib import Path

import bpy

from omniaudio_client.records import MapRequest, PathSource

from ..blender_versions import place_of, set_length
from ..core import frames
from ..core.errors import UserError
from ..core.job import Cancelled, Outcome, Steps
from ..core.provenance import Provenance, keep
from ..sequencer.sound_strips import blend_path, kept_file
from ..sequencer.takes import TakeStrips
from .anchor import camera_sound
from .following import blender_is_free, made_by_service, scene_named
from .snapshot import usable_folder

MAP = "map"
"""The role of the strip."""


def direction_map_video(scene: str, take: TakeStrips, clip: Path, cancelled: Cancelled) -> Steps:
    """Renders a direction map as a video and places it above the clip. Raises UserError and CancelledError."""
    sound = camera_sound(take).ambix  # head-locked, as the panorama is
    folder = usable_folder(sound.parent)
    start = take.provenance.clip_start
    request = MapRequest(PathSource(str(sound)), PathSource(str(clip)), clip_start=start)
    made = yield from made_by_service(request, {"sound": sound, "clip": clip}, folder, f"{sound.stem}_map", cancelled)
    yield from blender_is_free(cancelled)
    name = _place(scene_named(scene, folder), take, made.files[0])
    return Outcome(f"Placed {name}.", folder)


def direction_map_image(scene: bpy.types.Scene, take: TakeStrips) -> str:
    """Places the take's own map as an image strip above the clip; returns its name. Raises UserError if there is
    none."""
    return _place(scene, take, kept_file(take.provenance.direction_map, f"The direction map of {take.master}"))


def _place(scene: bpy.types.Scene, take: TakeStrips, file: Path) -> str:
    """Places the file as a strip above all others, as long as the take is heard."""
    editor = scene.sequence_editor
    above = [strip.channel for strip in editor.strips if place_of(strip).common(take.place).frames > 0]
    channel = 1 + max(above, default=0)
    if channel > frames.LAST_CHANNEL:
        raise UserError("There is no free channel above the clip; free the topmost one.")
    name = f"{frames.shortened(take.master, 50)} map"
    if file.suffix == ".mp4":
        strip = editor.strips.new_movie(name, blend_path(file), channel, take.content.start)
    else:
        strip = editor.strips.new_image(name, blend_path(file), channel, take.place.start)
        set_length(strip, take.place.frames)
    keep(strip, Provenance(role=MAP, group=take.provenance.group, title=take.provenance.title))
    return strip.name
