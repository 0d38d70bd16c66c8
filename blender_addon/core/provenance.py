"""What made a sound, as it is kept on its strips: enough to make it again after the file was reopened. Knows no bpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from omniaudio_client.options import GenerationOptions

PROPERTY = "omniaudio"
"""The strip's custom property."""
VERSION = 3

CLIP, GROUP, MASTER, PREVIEW = "clip", "group", "master", "preview"
"""Roles of strips: the picture, the meta strip that holds its takes, a take's AmbiX sound, and what is heard of it."""

_OF_VERSION_1 = {"source": "clip", "source_start": "clip_start", "source_duration": "clip_duration"}
"""Names that were other ones then."""


@dataclass(frozen=True)
class Provenance:
    """What made a take, and what its strip is. Files are paths as the .blend keeps them, `//` where they can be.

    Empty strings, 0 and None are what is not known, or was left to the engine.
    """

    role: str = ""
    group: str = ""  # the same for all strips of a picture
    number: int = 0  # of the take in its group; a master and its preview have the same
    camera: str = ""  # of the scene, where another one than its own was asked for
    source: str = ""  # STRIP, RANGE, SCENE or FILE: where the picture came from
    title: str = ""  # the picture's name, which the strips are named after
    clip: str = ""  # the file that the engine looked at ...
    clip_start: float = 0.0  # ... from this second on
    clip_duration: float = 0.0  # seconds
    options: GenerationOptions = field(default_factory=GenerationOptions)  # and what made it
    take: int = 1  # the how-manieth of the options' takes
    gain_db: float | None = None  # what the true-peak guard took of it, or of the take of which it is a new part
    sources: str = ""  # what was said to sound, as JSON; empty where the engine has found that out
    sidecar: str = ""
    sound_map: str = ""
    force: bool = False  # the picture was said to be a 360° one, whatever it looks like
    allow_truncated: bool = False  # the picture's file was cut off, and what can be read was taken
    anchor: str = "CAMERA"  # what the sound that is placed follows: CAMERA or WORLD
    camera_sound: str = ""  # the two sounds between which the anchor switches, and their previews
    camera_preview: str = ""
    world_sound: str = ""
    world_preview: str = ""
    inpainting_sound: str = ""  # the take of which a part was made anew ...
    inpainting_start: float = 0.0  # ... from this second of it on
    inpainting_duration: float = 0.0
    head_yaw: float = 0.0  # degrees to the left, of the head that the preview is made for
    used: bool = False  # of a master: this take is the one to be heard and delivered
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        """As a custom property takes it: without what is None."""
        values = {one.name: getattr(self, one.name) for one in fields(self)} | {"options": self.options.given()}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "Provenance":
        """What a strip has kept. Of older or newer versions, or edited by hand, as much as can be understood."""
        if "version" not in kept:
            kept = {_OF_VERSION_1.get(name, name): value for name, value in kept.items()} | {"version": 1}
        options = kept.get("options", kept)  # beside the others before version 3
        values: dict[str, Any] = {"options": GenerationOptions.understood(options if isinstance(options, dict) else {})}
        for one in (one for one in fields(cls) if one.name != "options"):
            kind = (get_args(one.type) or (one.type,))[0]  # without the None that it may also be
            value = _as(kind, kept.get(one.name))
            if value is not None:
                values[one.name] = value
        return cls(**values)


def _as(kind: object, value: object) -> str | int | float | bool | None:
    """A value as a field of this type has it; None where it is none."""
    if kind is str:
        return value if isinstance(value, str) else None
    try:
        if kind is bool:
            return bool(value) if isinstance(value, (bool, int, float)) else None
        if isinstance(value, (int, float, str)):
            return int(value) if kind is int else float(value)
    except (ValueError, OverflowError):  # words, or a number that is none
        pass
    return None


def provenance_of(strip: Any) -> Provenance | None:
    """What the strip has kept; None where nothing of ours is on it."""
    kept = strip.get(PROPERTY)
    if not hasattr(kept, "to_dict"):  # only a group of Blender's properties has it
        return None
    return Provenance.from_dict(kept.to_dict())


def keep(strip: Any, provenance: Provenance) -> None:
    """Keeps it on the strip."""
    strip[PROPERTY] = provenance.to_dict()
