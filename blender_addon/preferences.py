"""The add-on's preferences, and the settings that each scene keeps."""

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty


class OmniAudioPreferences(bpy.types.AddonPreferences):
    """How to reach the engine."""

    bl_idname = __package__

    engine: StringProperty(
        name="Engine",
        description="The command 'omniaudio', or the Python in which it is installed. "
        "Empty: what OMNIAUDIO_PYTHON names, then 'omniaudio' on the search path",
        subtype="FILE_PATH",
    )
    model: StringProperty(name="Model", description="A model's name or folder. Empty: the best that is installed")
    backend: EnumProperty(
        name="Back-end",
        description="What computes the model",
        items=[
            ("AUTO", "Automatic", "The fastest that is installed"),
            ("ONNXRUNTIME", "ONNX Runtime", ""),
            ("OPENVINO", "OpenVINO", ""),
            ("TORCH", "PyTorch", ""),
        ],
    )

    def draw(self, _context: bpy.types.Context) -> None:
        for name in ("engine", "model", "backend"):
            self.layout.prop(self, name)


class OmniAudioSettings(bpy.types.PropertyGroup):
    """What to generate, kept with the scene."""

    source: EnumProperty(
        name="Source",
        description="The picture that the sound is made for",
        items=[
            ("STRIP", "Active strip", "The active movie strip, which shows a 360° video"),
            ("SCENE", "Scene in 360°", "The scene, rendered from its camera in all directions by Cycles"),
        ],
    )
    seed: IntProperty(name="Seed", description="Another seed gives another take", min=0)
    folder: StringProperty(
        name="Folder",
        description="Where the files go; // is the folder of the .blend",
        subtype="DIR_PATH",
        default="//",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    width: IntProperty(
        name="Width", description="Of the 360° picture, in pixels", subtype="PIXEL", default=1024, min=256, max=8192
    )
    samples: IntProperty(name="Samples", description="Of Cycles, for each pixel", default=16, min=1)
    pictures_per_second: FloatProperty(
        name="Pictures per second",
        description="How many pictures to render for each second of sound; more show faster movement",
        default=8.0,
        min=1.0,
        max=120.0,
    )


CLASSES = (OmniAudioPreferences, OmniAudioSettings)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.omniaudio = PointerProperty(type=OmniAudioSettings)


def unregister() -> None:
    del bpy.types.Scene.omniaudio
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
