"""Exports a 360° video with spatial audio."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import bpy

from ..blender_versions import sequencer_scene
from ..core import frames
from ..core.job import Allowed, BlenderJob, Cancelled, Steps
from ..sequencer.sound_strips import kept_file
from ..sequencer.sources import Panorama, Sequence
from ..sequencer.takes import TakeStrips
from ..session.preferences import preferences
from ..workflows.export import Export, export
from ..workflows.snapshot import MAX_STEM_BYTES, Snapshot, output_folder, take_snapshot
from .choice import OfTake, chosen_take
from .pump import JobOperator


class OMNIAUDIO_OT_export(OfTake, JobOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Write the clip and the take to one file that YouTube and headsets play as 360° video with spatial audio"""

    bl_idname = "omniaudio.export"
    bl_label = "Export 360° Video"

    def new_job(self, context: bpy.types.Context, blocking: bool) -> BlenderJob:
        scene, take = sequencer_scene(context), chosen_take(context)
        settings, kept = scene.omniaudio, take.provenance
        clip: Path | Snapshot
        if settings.export_frames == "FILE":
            clip = kept_file(kept.clip, f"The clip that {take.master} was generated for")
        else:
            clip = _render_of(context, scene, take)
        rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
        begin = take.seconds_at(take.place.start, rate)
        chosen = Export(
            sound=kept_file(str(take.ambix), f"The sound of {take.master}"),
            part=None if take.place == take.content else frames.FileSpan(begin, float(take.place.frames / rate)),
            clip=clip,
            start=kept.clip_start + begin if settings.export_frames == "FILE" else 0.0,
            codec=settings.codec.lower(),
            force=kept.force or settings.force or settings.export_frames == "SCENE",
            allow_truncated=kept.allow_truncated,
            folder=output_folder(settings.folder or preferences(context).folder),
            stem=frames.shortened(bpy.path.clean_name(kept.title or take.master), MAX_STEM_BYTES) + "_360",
        )

        def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
            wanted = replace(
                chosen,
                force=chosen.force or allowed.force,
                allow_truncated=chosen.allow_truncated or allowed.allow_truncated,
            )
            return export(wanted, blocking, cancelled)

        return BlenderJob(f"Export {take.master}", partial(begin, Allowed()), begin)


def _render_of(context: bpy.types.Context, scene: bpy.types.Scene, take: TakeStrips) -> Snapshot:
    """The render of every frame while the take is heard. Raises UserError if there is nothing to render."""
    settings = scene.omniaudio
    chosen = take_snapshot(context, scene, settings.export_frames)
    width = settings.export_width // 4 * 4
    if settings.export_frames == "SCENE":
        source: Panorama | Sequence = Panorama(width, settings.export_samples, frame_step=1)
    else:
        source = Sequence(None, width, frame_step=1)
    return replace(chosen, source=source, place=take.place)


CLASSES = (OMNIAUDIO_OT_export,)
