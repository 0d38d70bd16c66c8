"""What is wanted, as each scene keeps it: the panel's fields."""

import math

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from .preferences import model_names, preferences
from .source_list import OmniAudioSourceList

MAX_SEED = 2**31 - 1
"""The largest that a field of Blender holds."""
UNSET = -1

SOURCES = [
    ("STRIP", "Active Strip", "The active movie or image strip, which shows a 360° picture", "FILE_MOVIE", 0),
    (
        "RANGE",
        "Frame Range",
        "What the sequencer shows in the preview range, or else in the scene's",
        "PREVIEW_RANGE",
        1,
    ),
    ("SCENE", "Scene in 360°", "The scene, rendered by Cycles in all directions from its camera", "SCENE_DATA", 2),
    ("FILE", "File", "A 360° video or picture, whose sound begins at the current frame", "FILE_FOLDER", 3),
]
ANCHORS = [
    ("CAMERA", "Camera", "The sound turns with the camera, as the picture does", "CAMERA_DATA", 0),
    ("WORLD", "World", "The sound stays where it is in the world while the camera turns", "WORLD", 1),
]


class OmniAudioSettings(bpy.types.PropertyGroup):
    """Of a scene. Takes and steps are the preferences' until they are set here."""

    source: EnumProperty(name="Source", description="The picture that the sound is made for", items=SOURCES)
    file: StringProperty(
        name="File",
        description="A 360° video or picture",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    force: BoolProperty(
        name="Is a 360° Picture",
        description="Take the picture for an equirectangular panorama, whatever it looks like",
    )
    width: IntProperty(
        name="Width", description="Of the 360° picture, in pixels", subtype="PIXEL", default=1024, min=256, max=8192
    )
    samples: IntProperty(name="Samples", description="Of Cycles, for each pixel", default=16, min=1)
    pictures_per_second: FloatProperty(
        name="Pictures per Second",
        description="How many pictures to render for each second of sound; more show faster movement",
        default=8.0,
        min=1.0,
        max=120.0,
    )

    takes_set: IntProperty(default=UNSET, options={"HIDDEN"})
    takes: IntProperty(
        name="Takes",
        description="How many different sounds to make at once",
        min=1,
        max=16,
        get=lambda self: self.takes_set if self.takes_set != UNSET else preferences().takes,
        set=lambda self, value: setattr(self, "takes_set", value),
    )
    seed: IntProperty(name="Seed", description="Another seed gives another sound", min=0, max=MAX_SEED)
    steps_set: IntProperty(default=UNSET, options={"HIDDEN"})
    steps: IntProperty(
        name="Steps",
        description="Of the sampler: more take longer and are more exact. 0 leaves it to the model",
        min=0,
        max=1000,
        get=lambda self: self.steps_set if self.steps_set != UNSET else preferences().steps,
        set=lambda self, value: setattr(self, "steps_set", value),
    )
    guidance_own: BoolProperty(name="Own Guidance", description="Set the guidance here; else the model's own is taken")
    guidance: FloatProperty(
        name="Guidance",
        description="How closely the sound follows the picture: 1 is without guidance; too much distorts",
        default=3.0,
        min=0.0,
        max=100.0,
        soft_max=12.0,
    )
    variation_own: BoolProperty(
        name="Own Variation", description="Set the variation here; else the model's own is taken"
    )
    variation: FloatProperty(
        name="Variation",
        description="How far the sound may be from the recordings that it begins with: 0 is a recording itself, 1 is "
        "made up freely",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    stems: BoolProperty(
        name="Stems",
        description="Write each source's own sound into a file beside the take, for a DAW. Together they are the take",
    )
    model: StringProperty(
        name="Model",
        description="A model's name. Empty: the one of the preferences",
        search=lambda _self, context, _text: model_names(context),
    )
    anchor: EnumProperty(name="Sound Follows", description="What the sound is fixed to", items=ANCHORS)
    folder: StringProperty(
        name="Folder",
        description="Where the files go; // is the folder of the .blend. Empty: the folder of the preferences",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )

    # What sounds where the picture is in no strip, by the source that is chosen; else it is kept with the strip.
    sources_range: PointerProperty(type=OmniAudioSourceList)
    sources_scene: PointerProperty(type=OmniAudioSourceList)
    sources_file: PointerProperty(type=OmniAudioSourceList)

    part: EnumProperty(
        name="Part",
        description="Which part of the take is made anew",
        items=[
            ("MARKED", "Marked Frames", "From and to the frames below"),
            ("PREVIEW", "Preview Range", "The preview range of the sequencer"),
        ],
    )
    part_start: IntProperty(name="Start", description="The first frame that is made anew", default=1)
    part_end: IntProperty(name="End", description="The last frame that is made anew", default=24)

    head_yaw: FloatProperty(
        name="Head Yaw",
        description="How far the listener's head is turned to the left in the preview",
        subtype="ANGLE",
        min=-math.pi,
        max=math.pi,
        step=500,
        precision=0,
    )

    codec: EnumProperty(
        name="Sound",
        description="How the sound is kept in the video",
        items=[
            ("PCM", "PCM in MOV", "Uncompressed, 48 kHz: what YouTube asks for"),
            ("OPUS", "Opus in MP4", "Compressed, four channels as ambisonics"),
            ("AAC", "AAC in MP4", "Compressed, four channels"),
        ],
    )
    deliver_picture: EnumProperty(
        name="Picture",
        description="The picture of the video",
        items=[
            ("FILE", "As It Is", "The file that the sound was made for; not encoded again where it can be copied"),
            ("SCENE", "Scene in 360°", "Every frame of the scene, rendered by Cycles in 360°"),
            ("RANGE", "Sequence", "What the sequencer shows while the sound plays"),
        ],
    )
    deliver_width: IntProperty(
        name="Width", description="Of the video, in pixels", subtype="PIXEL", default=4096, min=256, max=8192
    )
    deliver_samples: IntProperty(name="Samples", description="Of Cycles, for each pixel", default=64, min=1)


def register() -> None:
    bpy.utils.register_class(OmniAudioSettings)
    bpy.types.Scene.omniaudio = PointerProperty(type=OmniAudioSettings)


def unregister() -> None:
    del bpy.types.Scene.omniaudio
    bpy.utils.unregister_class(OmniAudioSettings)
