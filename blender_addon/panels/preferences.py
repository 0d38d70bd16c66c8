"""The extension's preferences: which service, which model, and the defaults of new scenes."""

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from ..core.package import PACKAGE
from ..props.osc_settings import OmniAudioOsc
from ..service import known_backends
from ..session import blender_service
from .service import draw_service


def backend_names() -> list[tuple[str, str]]:
    """The service's back-ends, each with its device or why it is unavailable; from the cache until it has answered."""
    backends = blender_service.service().state.backends or known_backends.kept(blender_service.folder())
    return [(one.name, one.device or one.reason or one.devices) for one in backends]


def _choice_changed(_preferences: "OmniAudioPreferences", _context: bpy.types.Context) -> None:
    blender_service.configure()


class OmniAudioPreferences(bpy.types.AddonPreferences):
    """How to reach the engine, and the defaults."""

    bl_idname = PACKAGE

    connection: EnumProperty(
        name="Engine",
        description="Where the sound is computed",
        items=[
            ("START", "Start It for Me", "The engine is started on this computer when it is first needed"),
            ("CONNECT", "Connect to Address", "An engine that runs already, here or on another computer"),
        ],
        update=_choice_changed,
    )
    program: StringProperty(
        name="Program",
        description="The command 'omniaudio', the Python in which it is installed, or a folder with either. "
        "Empty: what OMNIAUDIO_PYTHON names, then 'omniaudio' on the search path",
        subtype="FILE_PATH",
        update=_choice_changed,
    )
    address: StringProperty(
        name="Address", description="Address of the engine, such as http://192.168.1.20:4360", update=_choice_changed
    )
    token: StringProperty(
        name="Token",
        description="The text of the file 'token' in the engine's folder. Empty: the engine needs none",
        subtype="PASSWORD",
        update=_choice_changed,
    )
    model: StringProperty(
        name="Model",
        description="A model's name. Empty: the best that is installed",
        search=lambda _self, _context, _text: blender_service.model_names(),
    )
    backend: StringProperty(
        name="Back-end",
        description="What computes the model. Empty: the fastest that works on the engine's computer",
        search=lambda _self, _context, _text: backend_names(),
    )
    steps: IntProperty(name="Steps", description="Steps of the sampler. 0: the model's own number", min=0, max=1000)
    takes: IntProperty(
        name="Takes", description="How many different takes to generate at once", default=1, min=1, max=16
    )
    folder: StringProperty(
        name="Folder",
        description="Where the files go; // is the folder of the .blend",
        subtype="DIR_PATH",
        default="//",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    preview: BoolProperty(
        name="Preview",
        description="Make a binaural strip for headphones beside the ambisonic one",
        default=True,
    )
    osc: PointerProperty(type=OmniAudioOsc)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        column.prop(self, "connection")
        if self.connection == "START":
            column.prop(self, "program")
        else:
            column.prop(self, "address")
            column.prop(self, "token")
        draw_service(layout, context)
        column = layout.column()
        column.prop(self, "model", placeholder="The best that is installed")
        column.prop(self, "backend", placeholder="The fastest that works")
        column.prop(self, "steps")
        column.prop(self, "takes")
        column.prop(self, "folder")
        column.prop(self, "preview")


CLASSES = (OmniAudioPreferences,)
