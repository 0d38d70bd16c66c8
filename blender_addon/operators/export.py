"""Exporting a 360° video with spatial audio."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import bpy

from ..blender_versions import sequencer_scene
from ..core import frames
from ..core.job import Allowed, Cancelled, Steps, Work
from ..props.preferences import preferences
from ..sequencer.sound_strips import kept_file
from ..sequencer.sources import Panorama, Sequence
from ..sequencer.takes import TakeStrips
from ..workflows.export import Delivery, deliver
from ..workflows.snapshot import MAX_STEM_BYTES, Snapshot, output_folder, take_snapshot
from .choice import OfTake, chosen_take
from .pump import WorkOperator


class OMNIAUDIO_OT_deliver(OfTake, WorkOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Write the picture and the take as one file that YouTube and headsets play as 360° video with spatial audio"""

    bl_idname = "omniaudio.deliver"
    bl_label = "Export 360° Video"

    def work(self, context: bpy.types.Context, blocking: bool) -> Work:
        scene, take = sequencer_scene(context), chosen_take(context)
        settings, kept = scene.omniaudio, take.provenance
        picture: Path | Snapshot
        if settings.deliver_picture == "FILE":
            picture = kept_file(kept.clip, f"The picture that {take.master} was made for")
        else:
            picture = _render_of(context, scene, take)
        rate = frames.frame_rate(scene.render.fps, scene.render.fps_base)
        begin = take.seconds_at(take.place.start, rate)
        delivery = Delivery(
            sound=kept_file(str(take.ambix), f"The sound of {take.master}"),
            part=None if take.place == take.content else frames.FileSpan(begin, float(take.place.frames / rate)),
            picture=picture,
            start=kept.clip_start + begin if settings.deliver_picture == "FILE" else 0.0,
            codec=settings.codec.lower(),
            force=kept.force or settings.force or settings.deliver_picture == "SCENE",
            allow_truncated=kept.allow_truncated,
            folder=output_folder(settings.folder or preferences(context).folder),
            stem=frames.shortened(bpy.path.clean_name(kept.title or take.master), MAX_STEM_BYTES) + "_360",
        )

        def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
            wanted = replace(
                delivery,
                force=delivery.force or allowed.force,
                allow_truncated=delivery.allow_truncated or allowed.allow_truncated,
            )
            return deliver(wanted, blocking, cancelled)

        return Work(f"Export {take.master}", partial(begin, Allowed()), begin)


def _render_of(context: bpy.types.Context, scene: bpy.types.Scene, take: TakeStrips) -> Snapshot:
    """Every frame while the take is heard, to be rendered as the settings say. Raises UserError where it cannot."""
    settings = scene.omniaudio
    chosen = take_snapshot(context, scene, settings.deliver_picture)
    width = settings.deliver_width // 4 * 4
    if settings.deliver_picture == "SCENE":
        source: Panorama | Sequence = Panorama(width, settings.deliver_samples, frame_step=1)
    else:
        source = Sequence(None, width, frame_step=1)
    return replace(chosen, source=source, place=take.place)


CLASSES = (OMNIAUDIO_OT_deliver,)
