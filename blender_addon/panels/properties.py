"""The short panels in the camera's and the render's properties: the scene in 360°, without the sequencer."""

import bpy

from ..props.source_list import is_of, shown_clip
from .generate import draw_render
from .jobs import draw_running


class ScenePanel:
    """Base of both panels, which generate sound for the scene of the properties editor."""

    bl_label = "Spatial Audio"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 (Blender's own form)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = context.scene
        if scene.camera is None:
            layout.label(text="The scene has no camera", icon="ERROR")
        else:
            layout.label(text=f"In 360° from {scene.camera.name}", icon="CAMERA_DATA")
        draw_render(layout, scene, samples=True)
        if is_of(scene.omniaudio.sources_scene, shown_clip(scene, "SCENE")):
            layout.label(text="The sources are listed in the sequencer", icon="SPEAKER")
        row = layout.row(align=True)
        row.prop(scene.omniaudio, "seed")
        row.operator("omniaudio.roll_seed", text="", icon="FILE_3D").scene = scene.name
        layout.operator("omniaudio.generate", icon="SPEAKER").source = "SCENE"
        draw_running(layout)


class OMNIAUDIO_PT_camera(ScenePanel, bpy.types.Panel):  # noqa: N801
    """In the camera's properties."""

    bl_context = "data"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.camera is not None


class OMNIAUDIO_PT_render(ScenePanel, bpy.types.Panel):  # noqa: N801
    """In the render properties."""

    bl_context = "render"


CLASSES = (OMNIAUDIO_PT_camera, OMNIAUDIO_PT_render)
