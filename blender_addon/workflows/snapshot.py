"""What is wanted, as plain data, so that nothing of Blender's is held while the work runs."""

import json
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy

from omniaudio_client.options import GenerationOptions

from ..blender_versions import sequencer_scene
from ..core import frames
from ..core.errors import UserError
from ..core.job import Allowed
from ..core.package import PACKAGE
from ..props.generation_options import generation_options
from ..props.preferences import preferences
from ..props.source_list import Clip, as_told, is_of, list_of, shown_clip
from ..sequencer.sources import Footage, Panorama, Picture, PictureStrip, Sequence, choose_picture
from ..service.results import FOLDER

MAX_STEM_BYTES = 100
"""Bytes of a file's name: file systems allow 255, and the engine adds the take's number and the kind."""


@dataclass(frozen=True)
class Wish:
    """What the engine is asked for."""

    options: GenerationOptions
    force: bool  # the picture is known to be a 360° one; do not let the engine judge
    allow_truncated: bool  # of a file that was cut off take what can be read
    anchor: str  # CAMERA, or WORLD: turn the sound by the camera's orientation afterwards
    sources: str = ""  # what sounds, as JSON; empty leaves that to the engine, too

    def with_options(self, **changed: Any) -> "Wish":
        """The same, with other options."""
        return replace(self, options=replace(self.options, **changed))

    def with_allowed(self, allowed: Allowed) -> "Wish":
        """The same, with what the user has allowed since."""
        return replace(
            self,
            force=self.force or allowed.force,
            allow_truncated=self.allow_truncated or allowed.allow_truncated,
        )


@dataclass(frozen=True)
class Snapshot:
    """All that a generation needs to know. `folder` is absolute and may not exist yet."""

    scene: str
    rate: Fraction  # frames a second
    chosen: str  # STRIP, RANGE, SCENE or FILE
    source: Footage | Panorama | Sequence
    place: frames.Placement
    title: str
    under: PictureStrip | None
    clip: Clip
    folder: Path
    stem: str  # of the files' names
    wish: Wish


def take_snapshot(
    context: bpy.types.Context, scene: bpy.types.Scene | None = None, chosen: str = "", camera: str = ""
) -> Snapshot:
    """What the user asks for now: by the settings of `scene`, or else of the one whose sequence is edited. `chosen` is
    STRIP, RANGE, SCENE or FILE where it is another one than the settings choose, `camera` the name of a camera where
    it is another one than the scene's own.

    Raises UserError where it cannot be done.
    """
    scene = scene or sequencer_scene(context)
    settings = scene.omniaudio
    defaults = preferences(context)
    chosen = chosen or settings.source
    rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
    picture = choose_picture(scene, rate, chosen, camera)
    clip = _clip(scene, chosen, camera, picture)
    return Snapshot(
        scene=scene.name,
        rate=rate,
        chosen=chosen,
        source=picture.source,
        place=picture.place,
        title=picture.title,
        under=picture.under,
        clip=clip,
        folder=output_folder(settings.folder or defaults.folder),
        stem=_stem(scene, picture),
        wish=Wish(
            options=generation_options(settings, defaults),
            force=settings.force or isinstance(picture.source, Panorama),
            allow_truncated=False,
            anchor=settings.anchor,
            sources=_listed(scene, chosen, clip, rate, picture),
        ),
    )


def output_folder(setting: str) -> Path:
    """Where the files go: the setting, or the extension's own folder while `//` means nothing, the .blend being
    unsaved. The panel shows it."""
    setting = setting.strip() or "//"
    if setting.startswith("//") and not bpy.data.filepath:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="unsaved"))
    return Path(bpy.path.abspath(setting)).resolve()


def usable_folder(folder: Path) -> Path:
    """The folder, made if it was not there. Raises UserError where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"No files can be written to the folder {folder} ({error.strerror}); choose another, or save the .blend "
            "elsewhere.",
            FOLDER,
        ) from error
    return folder


def _clip(scene: bpy.types.Scene, chosen: str, camera: str, picture: Picture) -> Clip:
    shown, place = shown_clip(scene, chosen), picture.place
    match picture:
        case Picture(under=PictureStrip(content_start=start)):
            place = place.moved(-start)
        case Picture(source=Footage()):  # of a file in no strip, which lies at the current frame
            place = place.moved(-place.start)
    return Clip(camera or shown.name, place.start, place.end, rendered=not isinstance(picture.source, Footage))


def _listed(scene: bpy.types.Scene, chosen: str, clip: Clip, rate: Fraction, picture: Picture) -> str:
    """The list of what sounds, where there is one of this clip."""
    found = list_of(scene, chosen)
    if found is None or not is_of(found, clip):
        return ""
    match picture.source:
        case Footage(part=part):
            seconds = part.start + part.duration
        case _:
            seconds = float(picture.place.frames / rate)
    return json.dumps(as_told(found, clip, rate, seconds))


def _stem(scene: bpy.types.Scene, picture: Picture) -> str:
    match picture.source:
        case Footage(file):
            stem = file.stem
        case _ if picture.under is not None:
            stem = bpy.path.clean_name(picture.under.name)
        case _:
            stem = Path(bpy.data.filepath).stem or bpy.path.clean_name(scene.name)
    return frames.shortened(stem, MAX_STEM_BYTES)
