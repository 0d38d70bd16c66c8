"""The panel in the sequencer's sidebar."""

import bpy

from .operators import OMNIAUDIO_OT_cancel, OMNIAUDIO_OT_generate, running_job
from .snapshot import output_folder, sequencer_scene


class OMNIAUDIO_PT_generate(bpy.types.Panel):  # noqa: N801 (Blender's own form)
    """Choose a picture, press the button."""

    bl_label = "Generate Spatial Audio"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Spatial Audio"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = sequencer_scene(context)
        settings = scene.omniaudio
        job = running_job()
        column = layout.column()
        column.enabled = job is None
        column.prop(settings, "source")
        if settings.source == "STRIP":
            strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
            is_movie = strip is not None and strip.type == "MOVIE"
            column.label(text=strip.name if is_movie else "Select a movie strip", icon="SEQUENCE")
        else:
            column.label(text=scene.name if scene.camera else "The scene has no camera", icon="SCENE_DATA")
            column.prop(settings, "width")
            column.prop(settings, "samples")
            column.prop(settings, "pictures_per_second")
        column.prop(settings, "seed")
        column.prop(settings, "folder")
        if settings.folder.startswith("//") and not bpy.data.filepath:
            box = column.box()
            box.label(text="The .blend is not saved; files go to", icon="INFO")
            box.label(text=str(output_folder(settings.folder)))
        if job is None:
            layout.operator(OMNIAUDIO_OT_generate.bl_idname, icon="SPEAKER")
            return
        left = job.progress.seconds_left
        stage = job.progress.stage[:1].upper() + job.progress.stage[1:]
        text = stage if left is None else f"{stage}, {left:.0f} s left"
        row = layout.row(align=True)
        row.progress(factor=job.progress.fraction, text=text)
        row.operator(OMNIAUDIO_OT_cancel.bl_idname, text="", icon="X")


def register() -> None:
    bpy.utils.register_class(OMNIAUDIO_PT_generate)


def unregister() -> None:
    bpy.utils.unregister_class(OMNIAUDIO_PT_generate)
