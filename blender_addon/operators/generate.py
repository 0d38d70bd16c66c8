"""Sound for a picture: from the panel, again from what a strip has kept, and of a part of a take."""

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
from ..core.job import Allowed, Cancelled, Steps, Work
from ..core.provenance import CLIP, provenance_of
from ..props.generation_options import show_options
from ..props.preferences import preferences
from ..props.settings import MAX_SEED, SOURCES
from ..props.source_list import fill, list_of, shown_clip
from ..sequencer.sound_strips import kept_file
from ..sequencer.sources import PictureStrip
from ..sequencer.takes import TakeStrips
from ..service.results import sources_beside
from ..workflows.anchor import camera_sound
from ..workflows.generate import Order, Part, carry_out, generate
from ..workflows.snapshot import MAX_STEM_BYTES, Wish, output_folder, take_snapshot
from .choice import OfTake, chosen_take
from .pump import WorkOperator


class OMNIAUDIO_OT_generate(WorkOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Make ambisonic sound for the 360° picture, and place it in the sequencer"""

    bl_idname = "omniaudio.generate"
    bl_label = "Generate Spatial Audio"
    bl_options = {"UNDO"}  # noqa: RUF012 (Blender's own form)

    source: EnumProperty(
        name="Source",
        description="The picture that the sound is made for",
        items=[("SETTINGS", "As Chosen", "What the panel says"), *(item[:3] for item in SOURCES)],
        options={"SKIP_SAVE"},
    )

    def work(self, context: bpy.types.Context, blocking: bool) -> Work:
        if self.source == "SETTINGS":
            snapshot = take_snapshot(context)
        else:  # from the properties of the scene, where no sequence is edited
            snapshot = take_snapshot(context, context.scene, self.source)
        show_sequence(context)

        def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
            return generate(replace(snapshot, wish=snapshot.wish.with_allowed(allowed)), blocking, cancelled)

        return Work(snapshot.title, partial(begin, Allowed()), begin)


class OMNIAUDIO_OT_generate_again(OfTake, WorkOperator, bpy.types.Operator):  # noqa: N801
    """Make the sound of the active take again, by what is kept on its strip"""

    bl_idname = "omniaudio.generate_again"
    bl_label = "Generate Again"
    bl_options = {"UNDO"}  # noqa: RUF012

    new_seed: BoolProperty(
        name="New Seed",
        description="Make another sound for the same picture; else the same sound once more",
        options={"SKIP_SAVE"},
    )

    def work(self, context: bpy.types.Context, _blocking: bool) -> Work:
        order = _order_of(context, chosen_take(context))
        if self.new_seed:
            order = replace(order, wish=order.wish.with_options(seed=new_seed()))
        return _work(order.title, order)


class OMNIAUDIO_OT_generate_part(OfTake, WorkOperator, bpy.types.Operator):  # noqa: N801
    """Make a part of the active take anew, in a new take that is the same everywhere else"""

    bl_idname = "omniaudio.generate_part"
    bl_label = "Generate Part"
    bl_options = {"UNDO"}  # noqa: RUF012

    seed: IntProperty(name="Seed", description="-1: a new one", default=-1, min=-1, max=MAX_SEED, options={"SKIP_SAVE"})

    def work(self, context: bpy.types.Context, _blocking: bool) -> Work:
        scene = sequencer_scene(context)
        take = chosen_take(context)
        place = part_of(scene, take)
        rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
        start, duration = take.seconds_at(place.start, rate), float(place.frames / rate)
        part = Part(camera_sound(take).ambix, start, duration, take.provenance.gain_db)
        order = _order_of(context, take)
        seed = new_seed() if self.seed < 0 else self.seed
        order = replace(order, inpainting=part, wish=order.wish.with_options(seed=seed, takes=scene.omniaudio.takes))
        title = f"{order.title}, frames {place.start} to {place.end - 1}"
        return _work(title, order)


class OMNIAUDIO_OT_change_and_generate(OfTake, bpy.types.Operator):  # noqa: N801
    """Fill the panel with what the active take was made with, to change it and generate again"""

    bl_idname = "omniaudio.change_and_generate"
    bl_label = "Change and Generate Again"
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
        picture = _picture_strip(scene, take)
        if kept.source in ("RANGE", "SCENE"):
            settings.source = kept.source
        elif picture is not None:
            settings.source = "STRIP"
            scene.sequence_editor.active_strip = picture
        else:
            settings.source, settings.file = "FILE", kept.clip
            rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
            scene.frame_current = take.content.start - round(kept.clip_start * rate)  # where the file would begin
        _list_sources(scene, take)
        self.report({"INFO"}, f"The panel shows what made {take.master}; change it and generate")
        return {"FINISHED"}


class OMNIAUDIO_OT_roll_seed(bpy.types.Operator):  # noqa: N801
    """Choose another seed by chance"""

    bl_idname = "omniaudio.roll_seed"
    bl_label = "Roll Seed"
    bl_options = {"UNDO"}  # noqa: RUF012

    scene: StringProperty(description="The scene whose seed it is. Empty: the sequencer's", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        (bpy.data.scenes.get(self.scene) or sequencer_scene(context)).omniaudio.seed = new_seed()
        return {"FINISHED"}


class OMNIAUDIO_OT_mark_part(bpy.types.Operator):  # noqa: N801
    """Set this end of the part to the current frame"""

    bl_idname = "omniaudio.mark_part"
    bl_label = "Set to Current Frame"
    bl_options = {"UNDO"}  # noqa: RUF012

    end: EnumProperty(
        name="End",
        items=[("START", "Start", "The first frame that is made anew"), ("END", "End", "The last one")],
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = sequencer_scene(context)
        setattr(scene.omniaudio, f"part_{self.end.lower()}", scene.frame_current)
        return {"FINISHED"}


def new_seed() -> int:
    """One by chance."""
    return secrets.randbelow(MAX_SEED + 1)


def part_of(scene: bpy.types.Scene, take: TakeStrips) -> frames.Placement:
    """The frames of a take that the scene's settings choose. Raises UserError where they choose none of it."""
    settings = scene.omniaudio
    if settings.part == "PREVIEW":
        if not scene.use_preview_range:
            raise UserError("There is no preview range; set one in the sequencer (P), or mark frames.")
        start, end = scene.frame_preview_start, scene.frame_preview_end
    else:
        start, end = settings.part_start, settings.part_end
    if end < start:
        raise UserError(f"The part ends at frame {end}, before it starts at {start}; set it anew.")
    place = frames.Placement(start, end - start + 1).common(take.place)
    if place.frames == 0:
        raise UserError(
            f"Frames {start} to {end} are outside of {take.master}, which is heard from frame {take.place.start} to "
            f"{take.place.end - 1}; choose others."
        )
    return place


def _list_sources(scene: bpy.types.Scene, take: TakeStrips) -> None:
    """Has the panel list what sounds in the take, as it was said then or found by the engine."""
    kept, chosen = take.provenance, scene.omniaudio.source
    found, clip = list_of(scene, chosen), shown_clip(scene, chosen)
    told = sound_sources.parsed(kept.sources)
    if not told and kept.sidecar:
        told = sources_beside(Path(bpy.path.abspath(kept.sidecar))) or {}
    if found is not None and told:
        rendered = clip.rendered or clip.name != bpy.path.basename(kept.clip)
        fill(found, told, replace(clip, rendered=rendered))


def _work(title: str, order: Order) -> Work:
    def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
        return carry_out(replace(order, wish=order.wish.with_allowed(allowed)), cancelled)

    return Work(title, partial(begin, Allowed()), begin)


def _order_of(context: bpy.types.Context, take: TakeStrips) -> Order:
    """The generation that made a take, to be carried out once more. Raises UserError if a file of it is missing."""
    scene = sequencer_scene(context)
    kept = take.provenance
    picture = kept_file(kept.clip, f"The picture that {take.master} was made for")
    inpainting = None
    if kept.inpainting_sound:
        sound = kept_file(kept.inpainting_sound, f"The take of which {take.master} is a new part")
        inpainting = Part(sound, kept.inpainting_start, kept.inpainting_duration, kept.gain_db)
    strip = _picture_strip(scene, take)
    group = scene.sequence_editor.strips_all[take.master].parent_meta()
    return Order(
        scene=scene.name,
        picture=picture,
        part=frames.FileSpan(kept.clip_start, kept.clip_duration),
        place=take.content if group is None else content_of(group),
        wish=Wish(
            options=replace(kept.options, preview=take.preview is not None, map=bool(kept.sound_map)),
            force=kept.force,
            allow_truncated=kept.allow_truncated,
            anchor=kept.anchor,
            sources=kept.sources,
        ),
        title=kept.title or take.master,
        chosen=kept.source,
        folder=_folder_of(context, scene, take.ambix),
        stem=frames.shortened(bpy.path.clean_name(kept.title or picture.stem), MAX_STEM_BYTES),
        camera=kept.camera,
        under=None if strip is None else PictureStrip(strip.name, content_of(strip).start),
        group=kept.group,
        inpainting=inpainting,
    )


def _picture_strip(scene: bpy.types.Scene, take: TakeStrips) -> bpy.types.Strip | None:
    """The strip that shows what the take was made for; None where it has none, or not any more."""
    found = (
        strip
        for strip in scene.sequence_editor.strips_all
        if (kept := provenance_of(strip)) is not None and (kept.role, kept.group) == (CLIP, take.provenance.group)
    )
    return next(found, None)


def _folder_of(context: bpy.types.Context, scene: bpy.types.Scene, ambix: Path) -> Path:
    """Beside the take, or where new files go if that folder is gone."""
    if os.path.isdir(ambix.parent):  # Path.is_dir raises where a name is too long
        return ambix.parent
    return output_folder(scene.omniaudio.folder or preferences(context).folder)


CLASSES = (
    OMNIAUDIO_OT_generate,
    OMNIAUDIO_OT_generate_again,
    OMNIAUDIO_OT_generate_part,
    OMNIAUDIO_OT_change_and_generate,
    OMNIAUDIO_OT_roll_seed,
    OMNIAUDIO_OT_mark_part,
)
