"""The panels of the active strip's takes: choose, regenerate, binaural preview, direction map, export."""

import bpy

from ..blender_versions import sequencer_scene
from ..core.errors import UserError
from ..operators.choice import all_takes, chosen_take, has_takes
from ..operators.generate import range_of
from ..sequencer.takes import TakeStrips
from .text import draw_message


class TakesPanel:
    """Base of sub-panels that are shown if the active strip has takes."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Spatial Audio"
    bl_parent_id = "OMNIAUDIO_PT_generate"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_takes(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        try:
            self.draw_take(layout, context, chosen_take(context))
        except UserError as error:  # its strips were deleted, or the range is outside of it
            draw_message(layout, context, error.message, "INFO")

    def draw_take(self, layout: bpy.types.UILayout, context: bpy.types.Context, take: TakeStrips) -> None:
        """Draws the panel for the chosen take."""
        raise NotImplementedError


class OMNIAUDIO_PT_takes(TakesPanel, bpy.types.Panel):  # noqa: N801 (Blender's own form)
    """Choose the take that is heard, or regenerate it."""

    bl_label = "Takes"

    def draw_take(self, layout: bpy.types.UILayout, context: bpy.types.Context, chosen: TakeStrips) -> None:
        layout.use_property_split = False
        column = layout.column(align=True)
        for take in all_takes(context):
            text = f"{take.provenance.number}: seed {take.provenance.options.seed}"
            if take.provenance.options.takes > 1:
                text += f", take {take.provenance.take}"
            if take.provenance.inpainting_sound:
                text += ", range regenerated"
            button = column.operator(
                "omniaudio.use_take", text=text, icon="RADIOBUT_ON" if take.used else "RADIOBUT_OFF"
            )
            button.master = take.master
        row = layout.row(align=True)
        row.label(text="Sound Follows")
        for anchor, text in (("CAMERA", "Camera"), ("WORLD", "World")):
            pressed = chosen.provenance.anchor == anchor
            row.operator("omniaudio.set_anchor", text=text, depress=pressed).anchor = anchor
        kept = chosen.provenance.options
        how = [kept.model, kept.backend, f"{kept.steps} steps" if kept.steps else ""]
        row = layout.row()
        row.active = False
        row.label(text=", ".join(filter(None, how)))
        column = layout.column(align=True)
        column.operator("omniaudio.regenerate", text="Another Take", icon="ADD").new_seed = True
        column.operator("omniaudio.regenerate", icon="FILE_REFRESH").new_seed = False
        column.operator("omniaudio.change_and_generate", icon="GREASEPENCIL")


class OMNIAUDIO_PT_range(TakesPanel, bpy.types.Panel):  # noqa: N801
    """Regenerate a range of the take."""

    bl_label = "Regenerate Range"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw_take(self, layout: bpy.types.UILayout, context: bpy.types.Context, take: TakeStrips) -> None:
        scene = sequencer_scene(context)
        settings = scene.omniaudio
        layout.prop(settings, "range")
        if settings.range == "MARKED":
            column = layout.column(align=True)
            for end in ("start", "end"):
                row = column.row(align=True)
                row.prop(settings, f"range_{end}")
                row.operator("omniaudio.mark_range", text="", icon="TRACKING").end = end.upper()
        place = range_of(scene, take)
        text = f"Regenerate Frames {place.start} to {place.end - 1}"
        layout.operator("omniaudio.regenerate_range", text=text, icon="SPEAKER")


class OMNIAUDIO_PT_binaural(TakesPanel, bpy.types.Panel):  # noqa: N801
    """The binaural preview, and the direction map."""

    bl_label = "Binaural and Direction Map"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw_take(self, layout: bpy.types.UILayout, context: bpy.types.Context, take: TakeStrips) -> None:
        layout.prop(sequencer_scene(context).omniaudio, "head_yaw", slider=True)
        layout.operator("omniaudio.binaural", icon="PLAY_SOUND")
        row = layout.row()
        row.active = False
        row.label(text=f"The preview is for a head yaw of {take.provenance.head_yaw:.0f}°")
        row = layout.row(align=True)
        row.operator("omniaudio.direction_map_video", icon="FILE_MOVIE")
        row.operator("omniaudio.direction_map_image", icon="FILE_IMAGE")


class OMNIAUDIO_PT_export(TakesPanel, bpy.types.Panel):  # noqa: N801
    """A 360° video with spatial audio."""

    bl_label = "Export 360° Video with Spatial Audio"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw_take(self, layout: bpy.types.UILayout, context: bpy.types.Context, take: TakeStrips) -> None:
        settings = sequencer_scene(context).omniaudio
        layout.prop(settings, "export_frames")
        if settings.export_frames != "FILE":
            layout.prop(settings, "export_width")
        if settings.export_frames == "SCENE":
            layout.prop(settings, "export_samples")
        layout.prop(settings, "codec")
        layout.operator("omniaudio.export", icon="EXPORT")


CLASSES = (OMNIAUDIO_PT_takes, OMNIAUDIO_PT_range, OMNIAUDIO_PT_binaural, OMNIAUDIO_PT_export)
