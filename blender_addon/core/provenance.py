"""How a sound was generated, as its strips keep it: enough to regenerate it after reopening the file. No bpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from omniaudio_client.options import GenerationOptions

PROPERTY = "omniaudio"
"""The strip's custom property."""
VERSION = 1

CLIP, GROUP, MASTER, PREVIEW = "clip", "group", "master", "preview"
"""Roles of strips: the clip, the meta strip with its takes, a take's AmbiX sound, and a take's preview."""


@dataclass(frozen=True)
class Provenance:
    """How a take was generated, and its strip's role. Files are paths as the .blend keeps them, relative (`//`) if
    possible. Empty strings, 0 and None mean unknown, or left to the service.
    """

    role: str = ""
    group: str = ""  # the same for all strips of a clip
    number: int = 0  # of the take in its group; master and preview share it
    camera: str = ""  # if the request named another one than the scene's
    source: str = ""  # STRIP, RANGE, SCENE or FILE
    title: str = ""  # the clip's name, after which the strips are named
    clip: str = ""  # the file the sound was generated for ...
    clip_start: float = 0.0  # ... from this second on
    clip_duration: float = 0.0  # seconds
    options: GenerationOptions = field(default_factory=GenerationOptions)  # as they were used
    take: int = 1  # 1 to options.takes
    gain_db: float | None = None  # gain reduction of the take, or of the take it was inpainted from
    sources: str = ""  # the list of sources that was given, as JSON; empty if the service detected them
    sidecar: str = ""
    direction_map: str = ""
    force: bool = False  # the check for a 360° panorama was skipped
    allow_truncated: bool = False  # the clip's file was truncated, and what can be read was used
    anchor: str = "CAMERA"  # CAMERA (head-locked) or WORLD (world-locked)
    camera_sound: str = ""  # the sounds that the anchor switches between, and their previews
    camera_preview: str = ""
    world_sound: str = ""
    world_preview: str = ""
    inpainting_sound: str = ""  # the take of which a range was regenerated ...
    inpainting_start: float = 0.0  # ... from this second on
    inpainting_duration: float = 0.0
    head_yaw: float = 0.0  # of the preview's listener, in degrees to the left
    used: bool = False  # of a master: this take is heard and exported
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        """As a dict for a custom property, without None."""
        values = {one.name: getattr(self, one.name) for one in fields(self)} | {"options": self.options.given()}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "Provenance":
        """Reads a strip's custom property; skips what it cannot read, for instance if it was edited by hand."""
        options = kept.get("options")
        values: dict[str, Any] = {"options": GenerationOptions.understood(options if isinstance(options, dict) else {})}
        for one in (one for one in fields(cls) if one.name != "options"):
            kind = (get_args(one.type) or (one.type,))[0]  # without None
            value = _as(kind, kept.get(one.name))
            if value is not None:
                values[one.name] = value
        return cls(**values)


def _as(kind: object, value: object) -> str | int | float | bool | None:
    """The value converted to a field's type; None if that fails."""
    if kind is str:
        return value if isinstance(value, str) else None
    try:
        if kind is bool:
            return bool(value) if isinstance(value, (bool, int, float)) else None
        if isinstance(value, (int, float, str)):
            return int(value) if kind is int else float(value)
    except (ValueError, OverflowError):  # no number, or NaN or infinite
        pass
    return None


def provenance_of(strip: Any) -> Provenance | None:
    """Reads the strip's provenance; None if it has none."""
    kept = strip.get(PROPERTY)
    if not hasattr(kept, "to_dict"):  # only Blender's property groups have it
        return None
    return Provenance.from_dict(kept.to_dict())


def keep(strip: Any, provenance: Provenance) -> None:
    """Stores it on the strip."""
    strip[PROPERTY] = provenance.to_dict()
