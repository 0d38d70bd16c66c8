"""Generates sound: by the panel, again by a take's provenance, and for a range of a take."""

import os
import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from ..blender_versions import content_of, sequencer_scene, show_sequence
from ..core import frames, sound_sources
from ..core.errors import UserError
from ..core.job import Allowed, BlenderJob, Cancelled, Steps
from ..core.provenance import CLIP, provenance_of
from ..props.generation_options import show_options
from ..props.settings import MAX_SEED, SOURCES
from ..props.source_list import fill, list_of, shown_clip
from ..sequencer.sound_strips import kept_file
from ..sequencer.sources import ClipStrip
from ..sequencer.takes import TakeStrips
from ..service.results import sources_beside
from ..session.preferences import preferences
from ..workflows.anchor import camera_sound
from ..workflows.generate import Generation, InpaintedRange, carry_out, generate
from ..workflows.snapshot import MAX_STEM_BYTES, SoundRequest, output_folder, take_snapshot
from .choice import OfTake, chosen_take
from .pump import JobOperator


class OMNIAUDIO_OT_generate(JobOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Generate ambisonic sound for the 360° clip, and place it in the sequencer"""

    bl_idname = "omniaudio.generate"
    bl_label = "Generate Spatial Audio"
    bl_options = {"UNDO"}  # noqa: RUF012 (Blender's own form)

    source: EnumProperty(
        name="Source",
        description="The clip to generate sound for",
        items=[("SETTINGS", "As Chosen", "As chosen in the panel"), *(item[:3] for item in SOURCES)],
        options={"SKIP_SAVE"},
    )

    def new_job(self, context: bpy.types.Context, blocking: bool) -> BlenderJob:
        if self.source == "SETTINGS":
            snapshot = take_snapshot(context)
        else:  # from the properties editor, which edits no sequence
            snapshot = take_snapshot(context, context.scene, self.source)
        show_sequence(context)

        def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
            return generate(replace(snapshot, request=snapshot.request.with_allowed(allowed)), blocking, cancelled)

        return BlenderJob(snapshot.title, partial(begin, Allowed()), begin)


class OMNIAUDIO_OT_regenerate(OfTake, JobOperator, bpy.types.Operator):  # noqa: N801
    """Generate the active take again, from the settings kept on its strip"""

    bl_idname = "omniaudio.regenerate"
    bl_label = "Regenerate"
    bl_options = {"UNDO"}  # noqa: RUF012

    new_seed: BoolProperty(
        name="New Seed",
        description="Generate a different sound for the same clip; otherwise the same sound again",
        options={"SKIP_SAVE"},
    )

    def new_job(self, context: bpy.types.Context, _blocking: bool) -> BlenderJob:
        generation = _generation_of(context, chosen_take(context))
        if self.new_seed:
            generation = replace(generation, request=generation.request.with_options(seed=new_seed()))
        return _job(generation.title, generation)


class OMNIAUDIO_OT_regenerate_range(OfTake, JobOperator, bpy.types.Operator):  # noqa: N801
    """Regenerate a range of the active take, in a new take that is the same everywhere else"""

    bl_idname = "omniaudio.regenerate_range"
    bl_label = "Regenerate Range"
    bl_options = {"UNDO"}  # noqa: RUF012

    seed: IntProperty(name="Seed", description="-1: a new one", default=-1, min=-1, max=MAX_SEED, options={"SKIP_SAVE"})

    def new_job(self, context: bpy.types.Context, _blocking: bool) -> BlenderJob:
        scene = sequencer_scene(context)
        take = chosen_take(context)
        place = range_of(scene, take)
        rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
        start, duration = take.seconds_at(place.start, rate), float(place.frames / rate)
        inpainting = InpaintedRange(camera_sound(take).ambix, start, duration, take.provenance.gain_db)
        generation = _generation_of(context, take)
        seed = new_seed() if self.seed < 0 else self.seed
        generation = replace(
            generation,
            inpainting=inpainting,
            request=generation.request.with_options(seed=seed, takes=scene.omniaudio.takes),
        )
        title = f"{generation.title}, frames {place.start} to {place.end - 1}"
        return _job(title, generation)


class OMNIAUDIO_OT_change_and_generate(OfTake, bpy.types.Operator):  # noqa: N801
    """Show the active take's settings in the panel, to change them and generate again"""

    bl_idname = "omniaudio.change_and_generate"
    bl_label = "Change and Regenerate"
    bl_options = {"UNDO"}  # noqa: RUF012

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        try:
            take = chosen_take(context)
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        kept, settings = take.provenance, scene.omniaudio
        show_options(settings, kept.options)
        settings.anchor, settings.force = kept.anchor, kept.force
        clip_strip = _clip_strip(scene, take)
        if kept.source in ("RANGE", "SCENE"):
            settings.source = kept.source
        elif clip_strip is not None:
            settings.source = "STRIP"
            scene.sequence_editor.active_strip = clip_strip
        else:
            settings.source, settings.file = "FILE", kept.clip
            rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
            scene.frame_current = take.content.start - round(kept.clip_start * rate)  # where the file would begin
        _list_sources(scene, take)
        self.report({"INFO"}, f"The panel shows the settings of {take.master}; change them and generate")
        return {"FINISHED"}


class OMNIAUDIO_OT_roll_seed(bpy.types.Operator):  # noqa: N801
    """Choose a random seed"""

    bl_idname = "omniaudio.roll_seed"
    bl_label = "Roll Seed"
    bl_options = {"UNDO"}  # noqa: RUF012

    scene: StringProperty(description="The scene whose seed to set. Empty: the sequencer's", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        (bpy.data.scenes.get(self.scene) or sequencer_scene(context)).omniaudio.seed = new_seed()
        return {"FINISHED"}


class OMNIAUDIO_OT_mark_range(bpy.types.Operator):  # noqa: N801
    """Set this end of the range to the current frame"""

    bl_idname = "omniaudio.mark_range"
    bl_label = "Set to Current Frame"
    bl_options = {"UNDO"}  # noqa: RUF012

    end: EnumProperty(
        name="End",
        items=[("START", "Start", "The first frame of the range"), ("END", "End", "The last frame of the range")],
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        setattr(scene.omniaudio, f"range_{self.end.lower()}", scene.frame_current)
        return {"FINISHED"}


def new_seed() -> int:
    """A random seed."""
    return secrets.randbelow(MAX_SEED + 1)


def range_of(scene: bpy.types.Scene, take: TakeStrips) -> frames.Placement:
    """The range of a take that the scene's settings choose. Raises UserError if it is empty."""
    settings = scene.omniaudio
    if settings.range == "PREVIEW":
        if not scene.use_preview_range:
            raise UserError("There is no preview range; set one in the sequencer (P), or mark frames.")
        start, end = scene.frame_preview_start, scene.frame_preview_end
    else:
        start, end = settings.range_start, settings.range_end
    if end < start:
        raise UserError(f"The range ends at frame {end}, before it starts at {start}; set it again.")
    place = frames.Placement(start, end - start + 1).common(take.place)
    if place.frames == 0:
        raise UserError(
            f"Frames {start} to {end} are outside of {take.master}, which is heard from frame {take.place.start} to "
            f"{take.place.end - 1}; choose others."
        )
    return place


def _list_sources(scene: bpy.types.Scene, take: TakeStrips) -> None:
    """Shows the take's sources in the panel: those it was generated from, or those the service detected."""
    kept, chosen = take.provenance, scene.omniaudio.source
    found, clip = list_of(scene, chosen), shown_clip(scene, chosen)
    detected = sound_sources.parsed(kept.sources)
    if not detected and kept.sidecar:
        detected = sources_beside(Path(bpy.path.abspath(kept.sidecar))) or {}
    if found is not None and detected:
        rendered = clip.rendered or clip.name != bpy.path.basename(kept.clip)
        fill(found, detected, replace(clip, rendered=rendered))


def _job(title: str, generation: Generation) -> BlenderJob:
    def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
        return carry_out(replace(generation, request=generation.request.with_allowed(allowed)), cancelled)

    return BlenderJob(title, partial(begin, Allowed()), begin)


def _generation_of(context: bpy.types.Context, take: TakeStrips) -> Generation:
    """The generation that made a take, to run it again. Raises UserError if one of its files is missing."""
    scene = sequencer_scene(context)
    kept = take.provenance
    clip = kept_file(kept.clip, f"The clip that {take.master} was generated for")
    inpainting = None
    if kept.inpainting_sound:
        sound = kept_file(kept.inpainting_sound, f"The take that {take.master} was inpainted from")
        inpainting = InpaintedRange(sound, kept.inpainting_start, kept.inpainting_duration, kept.gain_db)
    strip = _clip_strip(scene, take)
    group = scene.sequence_editor.strips_all[take.master].parent_meta()
    return Generation(
        scene=scene.name,
        clip=clip,
        part=frames.FileSpan(kept.clip_start, kept.clip_duration),
        place=take.content if group is None else content_of(group),
        request=SoundRequest(
            options=replace(kept.options, preview=take.preview is not None, map=bool(kept.direction_map)),
            force=kept.force,
            allow_truncated=kept.allow_truncated,
            anchor=kept.anchor,
            sources=kept.sources,
        ),
        title=kept.title or take.master,
        chosen=kept.source,
        folder=_folder_of(context, scene, take.ambix),
        stem=frames.shortened(bpy.path.clean_name(kept.title or clip.stem), MAX_STEM_BYTES),
        camera=kept.camera,
        under=None if strip is None else ClipStrip(strip.name, content_of(strip).start),
        group=kept.group,
        inpainting=inpainting,
    )


def _clip_strip(scene: bpy.types.Scene, take: TakeStrips) -> bpy.types.Strip | None:
    """The strip of the take's clip; None if it has none, or no longer."""
    found = (
        strip
        for strip in scene.sequence_editor.strips_all
        if (kept := provenance_of(strip)) is not None and (kept.role, kept.group) == (CLIP, take.provenance.group)
    )
    return next(found, None)


def _folder_of(context: bpy.types.Context, scene: bpy.types.Scene, ambix: Path) -> Path:
    """The take's folder, or the folder of new files if that is gone."""
    if os.path.isdir(ambix.parent):  # Path.is_dir raises where a name is too long
        return ambix.parent
    return output_folder(scene.omniaudio.folder or preferences(context).folder)


CLASSES = (
    OMNIAUDIO_OT_generate,
    OMNIAUDIO_OT_regenerate,
    OMNIAUDIO_OT_regenerate_range,
    OMNIAUDIO_OT_change_and_generate,
    OMNIAUDIO_OT_roll_seed,
    OMNIAUDIO_OT_mark_range,
)
