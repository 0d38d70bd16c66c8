"""The settings of one job as plain data, so that nothing of Blender's is held while the job runs."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import bpy

from . import engine, frames
from .errors import UserError


@dataclass(frozen=True)
class Movie:
    """Sound for what a movie strip shows."""

    strip: str
    file: Path
    part: frames.FileSpan
    place: frames.Placement


@dataclass(frozen=True)
class Panorama:
    """Sound for the scene, which is rendered in 360° first: `width` pixels, every `frame_step`th frame."""

    width: int
    samples: int
    frame_step: int
    place: frames.Placement


@dataclass(frozen=True)
class Snapshot:
    """All that a job needs to know. `folder` is absolute and may not exist yet."""

    scene: str
    rate: Fraction  # frames a second
    source: Movie | Panorama
    folder: Path
    stem: str  # of the files' names
    command: tuple[str, ...]
    model: str
    backend: str
    seed: int


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequence is edited: 5.0 and later let it differ from the window's scene, or be unset."""
    return getattr(context, "sequencer_scene", None) or context.scene


def show_sequence(context: bpy.types.Context) -> None:
    """Has the sequencer show the scene that `sequencer_scene` fell back to, else new strips are not seen."""
    if getattr(context.workspace, "sequencer_scene", context.scene) is None:
        context.workspace.sequencer_scene = context.scene


def take_snapshot(context: bpy.types.Context) -> Snapshot:
    """The job that the user asks for now. Raises UserError where it cannot be done."""
    scene = sequencer_scene(context)
    settings = scene.omniaudio
    preferences = context.preferences.addons[__package__].preferences
    rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
    source: Movie | Panorama
    if settings.source == "STRIP":
        source = _movie(scene, rate)
        stem = Path(source.file).stem
    else:
        source = _panorama(scene, settings, rate)
        stem = Path(bpy.data.filepath).stem or bpy.path.clean_name(scene.name)
    return Snapshot(
        scene=scene.name,
        rate=rate,
        source=source,
        folder=output_folder(settings.folder),
        stem=stem,
        command=tuple(engine.find_engine(preferences.engine)),
        model=preferences.model.strip(),
        backend="" if preferences.backend == "AUTO" else preferences.backend.lower(),
        seed=settings.seed,
    )


def output_folder(setting: str) -> Path:
    """Where the files go: the setting, or the extension's own folder while `//` means nothing, the .blend being
    unsaved. The panel shows it."""
    if setting.startswith("//") and not bpy.data.filepath:
        return Path(bpy.utils.extension_path_user(__package__, path="unsaved"))
    return Path(bpy.path.abspath(setting or "//")).resolve()


def _movie(scene: bpy.types.Scene, rate: Fraction) -> Movie:
    editor = scene.sequence_editor
    strip = editor.active_strip if editor else None
    if strip is None or strip.type != "MOVIE":
        raise UserError("Select a movie strip that shows a 360° video, or choose the scene as the source.")
    if strip.parent_meta() is not None:
        raise UserError(f"The strip {strip.name} is inside a meta strip; ungroup it first.")
    if strip.use_reverse_frames or len(strip.retiming_keys) > 0:
        raise UserError(f"The strip {strip.name} is retimed or reversed; clear that, or render it to a file first.")
    if strip.use_flip_x or strip.use_flip_y:
        raise UserError(f"The strip {strip.name} is mirrored; clear that, or render it to a file first.")
    file = Path(bpy.path.abspath(strip.filepath)).resolve()
    if not file.is_file():
        raise UserError(
            f"The file of the strip {strip.name} is missing: {file}; find it again by File > External Data."
        )
    count, file_rate = _length_of(file)
    timing = frames.MovieTiming(
        content_start=round(strip.frame_start),
        content_frames=strip.frame_duration,
        shown=frames.Placement(strip.frame_final_start, strip.frame_final_duration),
        file_frames=count,
        file_rate=file_rate,
        file_frames_cut=strip.animation_offset_start,
        file_frames_cut_end=strip.animation_offset_end,
    )
    place, part = timing.part_shown(rate)
    return Movie(strip.name, file, part, place)


def _length_of(file: Path) -> tuple[int, Fraction]:
    """A video's frames and frames a second. The strip itself does not tell its file's length."""
    try:
        clip = bpy.data.movieclips.load(str(file))
    except RuntimeError as error:
        raise UserError(f"Blender cannot read the video {file}; convert it first.") from error
    try:
        return clip.frame_duration, frames.frame_rate(clip.fps)
    finally:
        bpy.data.movieclips.remove(clip)


def _panorama(scene: bpy.types.Scene, settings: bpy.types.PropertyGroup, rate: Fraction) -> Panorama:
    if scene.camera is None:
        raise UserError(f"The scene {scene.name} has no camera; add one where the listener is.")
    place = frames.Placement(scene.frame_start, scene.frame_end - scene.frame_start + 1)
    step = max(1, int(rate / settings.pictures_per_second))
    return Panorama(settings.width // 4 * 4, settings.samples, step, place)
