"""The panel's fields, kept with each scene."""

import math

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ..session import blender_service
from ..session.preferences import preferences
from .source_list import OmniAudioSourceList

MAX_SEED = 2**31 - 1
"""The largest value of Blender's integer properties."""
UNSET = -1

SOURCES = [
    ("STRIP", "Active Strip", "The active movie or image strip, which shows a 360° panorama", "FILE_MOVIE", 0),
    (
        "RANGE",
        "Frame Range",
        "What the sequencer shows in the preview range, or else in the scene's",
        "PREVIEW_RANGE",
        1,
    ),
    ("SCENE", "Scene in 360°", "The scene, rendered by Cycles in all directions from its camera", "SCENE_DATA", 2),
    ("FILE", "File", "A 360° video or image; its sound begins at the current frame", "FILE_FOLDER", 3),
]
ANCHORS = [
    ("CAMERA", "Camera", "Head-locked: the sound rotates with the camera, as the image does", "CAMERA_DATA", 0),
    ("WORLD", "World", "World-locked: the sound stays where it is in the world while the camera rotates", "WORLD", 1),
]


class OmniAudioSettings(bpy.types.PropertyGroup):
    """A scene's settings. Takes and steps follow the preferences until they are set here."""

    source: EnumProperty(name="Source", description="The clip to generate sound for", items=SOURCES)
    file: StringProperty(
        name="File",
        description="A 360° video or image",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    force: BoolProperty(
        name="Is a 360° Panorama",
        description="Treat the clip as an equirectangular panorama, whatever it looks like",
    )
    width: IntProperty(
        name="Width", description="Width of the panorama, in pixels", subtype="PIXEL", default=1024, min=256, max=8192
    )
    samples: IntProperty(name="Samples", description="Cycles' samples per pixel", default=16, min=1)
    frames_per_second: FloatProperty(
        name="Frames per Second",
        description="How many frames to render for each second; more show faster movement",
        default=8.0,
        min=1.0,
        max=120.0,
    )

    takes_set: IntProperty(default=UNSET, options={"HIDDEN"})
    takes: IntProperty(
        name="Takes",
        description="How many different takes to generate at once",
        min=1,
        max=16,
        get=lambda self: self.takes_set if self.takes_set != UNSET else preferences().takes,
        set=lambda self, value: setattr(self, "takes_set", value),
    )
    seed: IntProperty(name="Seed", description="Another seed gives another sound", min=0, max=MAX_SEED)
    steps_set: IntProperty(default=UNSET, options={"HIDDEN"})
    steps: IntProperty(
        name="Steps",
        description="Steps of the sampler: more take longer and are more exact. 0: the model's own number",
        min=0,
        max=1000,
        get=lambda self: self.steps_set if self.steps_set != UNSET else preferences().steps,
        set=lambda self, value: setattr(self, "steps_set", value),
    )
    guidance_own: BoolProperty(
        name="Own Guidance", description="Set the guidance here instead of using the model's own"
    )
    guidance: FloatProperty(
        name="Guidance",
        description="How closely the sound follows the clip: 1 is no guidance; too much distorts",
        default=3.0,
        min=0.0,
        max=100.0,
        soft_max=12.0,
    )
    variation_own: BoolProperty(
        name="Own Variation", description="Set the variation here instead of using the model's own"
    )
    variation: FloatProperty(
        name="Variation",
        description="How far the sound departs from the recordings that sampling starts from: 0 is the recording, 1 "
        "starts from noise",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    stems: BoolProperty(
        name="Stems",
        description="Write the sound of each source alone beside the take, for a DAW. The stems add up to the take",
    )
    model: StringProperty(
        name="Model",
        description="Name of the model. Empty: that of the preferences",
        search=lambda _self, _context, _text: blender_service.model_names(),
    )
    anchor: EnumProperty(
        name="Sound Follows",
        description="What the sound stays fixed to: the camera (head-locked) or the world (world-locked)",
        items=ANCHORS,
    )
    folder: StringProperty(
        name="Folder",
        description="Where the files go; // is the folder of the .blend. Empty: the folder of the preferences",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )

    # Lists of sources for clips that are no strip; those of strips are kept with the strip.
    sources_range: PointerProperty(type=OmniAudioSourceList)
    sources_scene: PointerProperty(type=OmniAudioSourceList)
    sources_file: PointerProperty(type=OmniAudioSourceList)

    range: EnumProperty(
        name="Range",
        description="Which range of the take is regenerated",
        items=[
            ("MARKED", "Marked Frames", "The frames below"),
            ("PREVIEW", "Preview Range", "The preview range of the sequencer"),
        ],
    )
    range_start: IntProperty(name="Start", description="The first frame of the range", default=1)
    range_end: IntProperty(name="End", description="The last frame of the range", default=24)

    head_yaw: FloatProperty(
        name="Head Yaw",
        description="Rotation of the listener's head in the preview, to the left",
        subtype="ANGLE",
        min=-math.pi,
        max=math.pi,
        step=500,
        precision=0,
    )

    codec: EnumProperty(
        name="Sound",
        description="Format of the sound in the video",
        items=[
            ("PCM", "PCM in MOV", "Uncompressed, 48 kHz: what YouTube asks for"),
            ("OPUS", "Opus in MP4", "Compressed, four channels as ambisonics"),
            ("AAC", "AAC in MP4", "Compressed, four channels"),
        ],
    )
    export_frames: EnumProperty(
        name="Frames",
        description="The frames of the video",
        items=[
            ("FILE", "As It Is", "The file that the sound was generated for; copied without encoding if possible"),
            ("SCENE", "Scene in 360°", "Every frame of the scene, rendered by Cycles in 360°"),
            ("RANGE", "Sequence", "What the sequencer shows while the sound plays"),
        ],
    )
    export_width: IntProperty(
        name="Width", description="Width of the video, in pixels", subtype="PIXEL", default=4096, min=256, max=8192
    )
    export_samples: IntProperty(name="Samples", description="Cycles' samples per pixel", default=64, min=1)


def register() -> None:
    bpy.utils.register_class(OmniAudioSettings)
    bpy.types.Scene.omniaudio = PointerProperty(type=OmniAudioSettings)


def unregister() -> None:
    del bpy.types.Scene.omniaudio
    bpy.utils.unregister_class(OmniAudioSettings)
