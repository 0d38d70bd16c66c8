"""Head-locked and world-locked sound: the camera's motion rotates the one into the other."""

import json
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from omniaudio_client.records import PathSource, RotateRequest

from ..core import frames
from ..core.errors import UserError
from ..core.geometry import from_first_heading
from ..core.job import Cancelled, Outcome, Progress, Steps
from ..core.provenance import Provenance, provenance_of
from ..render.orientation import camera_orientations
from ..sequencer.sound_strips import blend_path, kept_file
from ..sequencer.takes import TakeStrips, replace_sound
from ..service.service_job import TakeFiles
from .following import blender_is_free, made_by_service, removed_after, scene_named
from .snapshot import usable_folder


@dataclass(frozen=True)
class SoundFiles:
    """An AmbiX sound, and its preview if there is one."""

    ambix: Path
    preview: Path | None


def rotated_to_world(
    scene: str,
    place: frames.Placement,
    sounds: Sequence[SoundFiles],
    folder: Path,
    cancelled: Cancelled,
    *,
    camera: str,
) -> Generator[Progress, None, list[TakeFiles]]:
    """Rotates head-locked sounds that begin at `place` to world-locked ones. The world's front is the camera's first
    heading; `camera` is a name, empty for the scene's own. Raises UserError and CancelledError."""
    owner = scene_named(scene, folder)
    rate = frames.frame_rate(owner.render.fps, owner.render.fps_base)
    way = camera_orientations(owner, place, rate, camera)
    while True:
        try:
            yield Progress("following the camera", next(way))
        except StopIteration as end:
            orientations = from_first_heading(end.value)
            break
    worlds: list[TakeFiles] = []
    with removed_after([worlds], UserError, GeneratorExit), tempfile.TemporaryDirectory(prefix="omniaudio-") as own:
        file = Path(own) / "orientations.json"
        file.write_text(json.dumps([orientation._asdict() for orientation in orientations]), "utf-8")
        for sound in sounds:
            made = yield from made_by_service(
                RotateRequest(PathSource(str(sound.ambix)), PathSource(str(file)), preview=sound.preview is not None),
                {"sound": sound.ambix, "orientations": file},
                folder,
                f"{sound.ambix.stem}_world",
                cancelled,
            )
            worlds += made.takes
    return worlds


def follow_world(scene: bpy.types.Scene, master: str, camera: SoundFiles, world: TakeFiles) -> None:
    """Makes a take world-locked; its provenance keeps the head-locked sound. Raises UserError if the take is gone."""
    made_by = replace(
        _kept(scene, master),
        anchor="WORLD",
        camera_sound=blend_path(camera.ambix),
        camera_preview=_path(camera.preview),
        world_sound=blend_path(world.ambix),
        world_preview=_path(world.preview),
        head_yaw=0.0,
    )
    replace_sound(scene, master, world.ambix, world.preview, made_by)


def follow_camera(scene: bpy.types.Scene, master: str, camera: SoundFiles) -> None:
    """Makes a take head-locked. Raises UserError if the take is gone."""
    made_by = replace(_kept(scene, master), anchor="CAMERA", head_yaw=0.0)
    replace_sound(scene, master, camera.ambix, camera.preview, made_by)


def camera_sound(take: TakeStrips) -> SoundFiles:
    """A take's head-locked sound, whichever is in the strip. Raises UserError if its files are missing."""
    kept = take.provenance
    if kept.anchor != "WORLD":
        return SoundFiles(take.ambix, take.preview_file)
    what = f"The head-locked sound of {take.master}"
    return SoundFiles(
        kept_file(kept.camera_sound, what), kept_file(kept.camera_preview, what) if kept.camera_preview else None
    )


def set_anchor(scene: str, takes: Sequence[TakeStrips], anchor: str, cancelled: Cancelled) -> Steps:
    """Makes takes of a clip follow `anchor`, CAMERA or WORLD. Raises UserError and CancelledError."""
    takes = [take for take in takes if take.provenance.anchor != anchor or anchor == "WORLD"]
    sounds = [camera_sound(take) for take in takes]
    worlds: list[TakeFiles] = []
    folder = takes[0].ambix.parent if takes else Path()
    with removed_after([worlds], UserError, GeneratorExit):
        if anchor == "WORLD":
            for take, sound in zip(takes, sounds, strict=True):
                usable_folder(folder)
                worlds += yield from rotated_to_world(
                    scene, take.content, [sound], folder, cancelled, camera=take.provenance.camera
                )
        yield from blender_is_free(cancelled)
    owner = scene_named(scene, folder)
    for i, take in enumerate(takes):
        if anchor == "WORLD":
            follow_world(owner, take.master, sounds[i], worlds[i])
        else:
            follow_camera(owner, take.master, sounds[i])
    return Outcome(f"The sound follows the {anchor.lower()}.")


def _kept(scene: bpy.types.Scene, master: str) -> Provenance:
    strip = scene.sequence_editor.strips_all.get(master) if scene.sequence_editor else None
    return (provenance_of(strip) if strip is not None else None) or Provenance()


def _path(file: Path | None) -> str:
    return "" if file is None else blend_path(file)
