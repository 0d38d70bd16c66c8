"""The settings of a generation as plain data, so that a running job holds no objects of Blender."""

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
from ..props.source_list import ListedClip, is_of, list_of, request_sources, shown_clip
from ..sequencer.sources import ClipChoice, ClipStrip, Footage, Panorama, Sequence, choose_clip
from ..service.results import FOLDER
from ..session.preferences import preferences

MAX_STEM_BYTES = 100
"""File systems allow names of 255 bytes, and the service appends the take's number and suffixes."""


@dataclass(frozen=True)
class SoundRequest:
    """How to generate the sound."""

    options: GenerationOptions
    force: bool  # skip the check for a 360° panorama
    allow_truncated: bool  # use what can be read of a truncated file
    anchor: str  # CAMERA (head-locked) or WORLD (rotated by the camera's orientation afterwards)
    sources: str = ""  # the list of sources as JSON; empty: the service detects them

    def with_options(self, **changed: Any) -> "SoundRequest":
        """A copy with other options."""
        return replace(self, options=replace(self.options, **changed))

    def with_allowed(self, allowed: Allowed) -> "SoundRequest":
        """A copy with what the user has allowed."""
        return replace(
            self,
            force=self.force or allowed.force,
            allow_truncated=self.allow_truncated or allowed.allow_truncated,
        )


@dataclass(frozen=True)
class Snapshot:
    """All settings of a generation. `folder` is absolute and may not exist yet."""

    scene: str
    rate: Fraction  # frames a second
    chosen: str  # STRIP, RANGE, SCENE or FILE
    source: Footage | Panorama | Sequence
    place: frames.Placement
    title: str
    under: ClipStrip | None
    listed: ListedClip
    folder: Path
    stem: str  # of the files' names
    request: SoundRequest


def take_snapshot(
    context: bpy.types.Context, scene: bpy.types.Scene | None = None, chosen: str = "", camera: str = ""
) -> Snapshot:
    """The current settings of `scene`, or of the scene whose sequence is edited.

    Args:
        chosen: STRIP, RANGE, SCENE or FILE; empty for the source that the settings choose.
        camera: the name of a camera; empty for the scene's own.

    Raises:
        UserError: there is no such clip.
    """
    scene = scene or sequencer_scene(context)
    settings = scene.omniaudio
    defaults = preferences(context)
    chosen = chosen or settings.source
    rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
    choice = choose_clip(scene, rate, chosen, camera)
    listed = _listed_clip(scene, chosen, camera, choice)
    return Snapshot(
        scene=scene.name,
        rate=rate,
        chosen=chosen,
        source=choice.source,
        place=choice.place,
        title=choice.title,
        under=choice.under,
        listed=listed,
        folder=output_folder(settings.folder or defaults.folder),
        stem=_stem(scene, choice),
        request=SoundRequest(
            options=generation_options(settings, defaults),
            force=settings.force or isinstance(choice.source, Panorama),
            allow_truncated=False,
            anchor=settings.anchor,
            sources=_source_list(scene, chosen, listed, rate, choice),
        ),
    )


def output_folder(setting: str) -> Path:
    """The folder of new files: the setting, or a folder of the extension if it is relative to an unsaved .blend."""
    setting = setting.strip() or "//"
    if setting.startswith("//") and not bpy.data.filepath:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="unsaved"))
    return Path(bpy.path.abspath(setting)).resolve()


def usable_folder(folder: Path) -> Path:
    """Creates the folder if necessary. Raises UserError if no file can be written to it."""
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


def _listed_clip(scene: bpy.types.Scene, chosen: str, camera: str, choice: ClipChoice) -> ListedClip:
    shown, place = shown_clip(scene, chosen), choice.place
    match choice:
        case ClipChoice(under=ClipStrip(content_start=start)):
            place = place.moved(-start)
        case ClipChoice(source=Footage()):  # a file in no strip, placed at the current frame
            place = place.moved(-place.start)
    return ListedClip(camera or shown.name, place.start, place.end, rendered=not isinstance(choice.source, Footage))


def _source_list(scene: bpy.types.Scene, chosen: str, listed: ListedClip, rate: Fraction, choice: ClipChoice) -> str:
    """The clip's list of sources as JSON; empty if it has none."""
    found = list_of(scene, chosen)
    if found is None or not is_of(found, listed):
        return ""
    match choice.source:
        case Footage(part=part):
            seconds = part.start + part.duration
        case _:
            seconds = float(choice.place.frames / rate)
    return json.dumps(request_sources(found, listed, rate, seconds))


def _stem(scene: bpy.types.Scene, choice: ClipChoice) -> str:
    match choice.source:
        case Footage(file):
            stem = file.stem
        case _ if choice.under is not None:
            stem = bpy.path.clean_name(choice.under.name)
        case _:
            stem = Path(bpy.data.filepath).stem or bpy.path.clean_name(scene.name)
    return frames.shortened(stem, MAX_STEM_BYTES)
