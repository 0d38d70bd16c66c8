"""The main panel in the sequencer's sidebar: choose a clip, press the button."""

from fractions import Fraction

import bpy

from omniaudio_client.records import Model

from ..blender_versions import sequencer_scene, shown_place
from ..core import frames
from ..sequencer.sources import chosen_strip, shown_range
from ..session import blender_service
from ..session.preferences import preferences
from ..workflows.snapshot import output_folder
from .service import draw_service
from .sources import draw_sources
from .text import draw_message

SHAPES = {Fraction(2): "a 360° panorama", Fraction(1): "360° in stereo"}
"""Aspect ratios of equirectangular panoramas."""
SHAPE_TOLERANCE = 0.02


class SequencerPanel:
    """Base of panels in the sequencer's sidebar."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Spatial Audio"


class OMNIAUDIO_PT_generate(SequencerPanel, bpy.types.Panel):  # noqa: N801 (Blender's own form)
    """Choose a clip, press the button."""

    bl_label = "Generate Spatial Audio"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = sequencer_scene(context)
        settings = scene.omniaudio
        layout.prop(settings, "source")
        _draw_source(layout, context, scene)
        draw_sources(layout, context, scene)
        draw_options(layout, context, scene)
        _draw_folder(layout, context, scene)
        if blender_service.service().state.kind in ("waiting", "failed"):
            draw_service(layout, context)
        row = layout.row()
        row.scale_y = 1.5
        row.operator("omniaudio.generate", icon="SPEAKER")


def draw_options(layout: bpy.types.UILayout, context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Draws the options of the generation."""
    settings = scene.omniaudio
    model = _model(settings.model)
    column = layout.column()
    _draw_length(column, scene, model)
    column.prop(settings, "takes")
    row = column.row(align=True)
    row.prop(settings, "seed")
    row.operator("omniaudio.roll_seed", text="", icon="FILE_3D").scene = scene.name
    column.prop(settings, "steps")
    if settings.steps == 0 and model is not None:
        _draw_note(column, f"The model uses {model.steps}")
    row = column.row(align=True, heading="Guidance")
    row.prop(settings, "guidance_own", text="")
    sub = row.row(align=True)
    sub.active = settings.guidance_own
    sub.prop(settings, "guidance", text="")
    if not settings.guidance_own and model is not None:
        _draw_note(column, f"The model uses {model.guidance:g}")
    row = column.row(align=True, heading="Variation")
    row.prop(settings, "variation_own", text="")
    sub = row.row(align=True)
    sub.active = settings.variation_own
    sub.prop(settings, "variation", text="")
    column.prop(settings, "stems")
    column.prop(settings, "model", placeholder=preferences(context).model or "The best that is installed")
    column.prop(settings, "anchor", expand=True)


def draw_render(layout: bpy.types.UILayout, scene: bpy.types.Scene, *, samples: bool) -> None:
    """Draws the settings of the render for the model; `samples` for Cycles."""
    settings = scene.omniaudio
    column = layout.column()
    column.prop(settings, "width")
    if samples:
        column.prop(settings, "samples")
    column.prop(settings, "frames_per_second")


def _draw_source(layout: bpy.types.UILayout, context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    settings = scene.omniaudio
    match settings.source:
        case "STRIP":
            strip = chosen_strip(scene)
            if strip is None:
                draw_message(layout, context, "Select a movie or image strip", "INFO")
            else:
                layout.label(text=strip.name, icon="FILE_MOVIE" if strip.type == "MOVIE" else "FILE_IMAGE")
                element = strip.elements[0]
                _draw_shape(layout, context, settings, element.orig_width, element.orig_height)
        case "RANGE":
            scale = scene.render.resolution_percentage / 100
            size = (round(length * scale) for length in (scene.render.resolution_x, scene.render.resolution_y))
            _draw_shape(layout, context, settings, *size)
            draw_render(layout, scene, samples=False)
        case "SCENE":
            text = f"From {scene.camera.name}" if scene.camera else "The scene has no camera"
            layout.label(text=text, icon="CAMERA_DATA" if scene.camera else "ERROR")
            draw_render(layout, scene, samples=True)
        case "FILE":
            layout.prop(settings, "file")
            layout.prop(settings, "force")


def _draw_shape(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
    width: int,
    height: int,
) -> None:
    """Says whether a clip of this size can be a 360° panorama, and what to do if not."""
    if not (width and height):
        return
    shape = next((n for s, n in SHAPES.items() if abs(width / height / s - 1) < SHAPE_TOLERANCE), None)
    if shape is not None:
        _draw_note(layout, f"{width} × {height}, {shape}")
    else:
        draw_message(
            layout,
            context,
            f"{width} × {height} is not the shape of a 360° panorama, which is twice as wide as high, or square with "
            "one eye above the other. Directions would be wrong.",
            "ERROR",
        )
        layout.prop(settings, "force")


def _draw_length(layout: bpy.types.UILayout, scene: bpy.types.Scene, model: Model | None) -> None:
    place = shown_length(scene)
    if place is None:
        return
    seconds = float(place / frames.frame_rate(scene.render.fps, scene.render.fps_base))
    split = layout.split(factor=0.4)
    label = split.row()
    label.alignment = "RIGHT"
    label.label(text="Length")
    split.label(text=f"{seconds:.1f} s")
    if model is not None:  # short lines: Blender cuts the middle out of longer ones
        _draw_note(layout, f"{model.name} generates {model.native_seconds:.0f} s at once")
        if seconds > model.native_seconds:
            _draw_note(layout, "Generated in overlapping windows")


def shown_length(scene: bpy.types.Scene) -> int | None:
    """The length of the chosen clip in frames; None if that needs reading its file."""
    match scene.omniaudio.source:
        case "STRIP":
            strip = chosen_strip(scene)
            return None if strip is None else shown_place(strip).frames
        case "RANGE" | "SCENE":
            return shown_range(scene, scene.omniaudio.source).frames
    return None


def _model(name: str) -> Model | None:
    """The model that would be used, as far as the service has reported it."""
    state = blender_service.service().state
    wanted = name or preferences().model or state.default
    return next((model for model in state.models if model.name == wanted), None)


def _draw_folder(layout: bpy.types.UILayout, context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    settings = scene.omniaudio
    default = preferences(context).folder
    layout.prop(settings, "folder", placeholder=default)
    folder = settings.folder or default
    if folder.startswith("//") and not bpy.data.filepath:
        box = layout.box()
        draw_message(box, context, f"The .blend is not saved; files go to {output_folder(folder)}", "INFO")


def _draw_note(layout: bpy.types.UILayout, text: str) -> None:
    """Draws a note below a field, aligned with the fields."""
    split = layout.split(factor=0.4)
    split.label(text="")
    row = split.row()
    row.active = False
    row.label(text=text)


CLASSES = (OMNIAUDIO_PT_generate,)
