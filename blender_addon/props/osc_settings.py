"""The settings of the OSC bridge, in the preferences."""

import bpy
from bpy.props import CollectionProperty, IntProperty, StringProperty

from ..service.osc_process import PORT


class OmniAudioOscFolder(bpy.types.PropertyGroup):
    """A folder in which DAWs may name clips."""

    path: StringProperty(name="Folder", description="DAWs may name clips in here", subtype="DIR_PATH")


class OmniAudioOsc(bpy.types.PropertyGroup):
    """The bridge's port and its folders."""

    port: IntProperty(
        name="Port",
        description="Where DAWs on this machine find the bridge, by UDP and TCP",
        default=PORT,
        min=1,
        max=65535,
    )
    folders: CollectionProperty(type=OmniAudioOscFolder)


CLASSES = (OmniAudioOscFolder, OmniAudioOsc)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
