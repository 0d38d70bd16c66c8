"""Photo sphere metadata: the `GPano` properties of a photograph's XMP packet.

Sources: Google's "Photo Sphere XMP Metadata" for the properties; ISO 16684-1 for XMP, which writes a property as an
attribute or as an element, under any prefix that is bound to its namespace.
"""

from math import isfinite
from typing import NamedTuple
from xml.parsers import expat

_NAMESPACE = "http://ns.google.com/photos/1.0/panorama/"
_PREFIX = "GPano"
"""The usual prefix. Some writers use it without binding it."""
_WHOLE = 0.99
"""The share of the sphere's width and height from which a crop counts as the whole: directions shift by less than
2°."""
_PADDING = " \t\r\n\0\ufeff"
_UNREADABLE = "\ufffd"


class GPano(NamedTuple):
    """A photograph's metadata about its sphere; None for what they do not say."""

    projection: str | None
    """`equirectangular`, or another name, in lower case; `cropped …` if it is not the whole sphere."""
    heading: float | None
    """Of the image's centre, in degrees clockwise from north, 0 to 360. Players do not rotate by it."""
    pitch: float | None
    """Of the image's centre above the horizon, in degrees, −90 to 90."""
    roll: float | None
    """Of the image, in degrees, −180 to 180; 0 is level with the horizon."""


def parse_gpano(xmp: bytes | str) -> GPano | None:
    """Read the photo sphere metadata in an XMP packet; None if there are none or the XML is not well-formed.

    Never raises: an unreadable property counts as missing."""
    try:
        found = _properties(_text(xmp) if isinstance(xmp, bytes) else xmp.strip(_PADDING))
    except (expat.ExpatError, ValueError):
        return None
    if not found:
        return None
    return GPano(
        projection=_projection(found),
        heading=_number(found, "PoseHeadingDegrees", 0, 360),
        pitch=_number(found, "PosePitchDegrees", -90, 90),
        roll=_number(found, "PoseRollDegrees", -180, 180),
    )


def _properties(xmp: str) -> dict[str, str]:
    """The GPano properties in a packet, by name; the first value of a repeated one."""
    prefixes = {_PREFIX}
    values: list[tuple[str, str]] = []
    text: list[str] = []

    def start(_: str, attributes: dict[str, str]) -> None:
        text.clear()
        values.extend(attributes.items())
        prefixes.update(name[6:] for name, value in attributes.items() if name[:6] == "xmlns:" and value == _NAMESPACE)

    def end(name: str) -> None:
        values.append((name, "".join(text)))
        text.clear()

    # Without expat's namespaces, which refuse a packet with an unbound prefix.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text.append
    parser.Parse(xmp, True)
    found: dict[str, str] = {}
    for name, value in values:
        prefix, _, local = name.rpartition(":")
        if prefix in prefixes:
            found.setdefault(local, value.strip())
    return found


def _projection(found: dict[str, str]) -> str | None:
    name = found.get("ProjectionType", "").lower()
    if not name or _UNREADABLE in name:
        return None
    for side in ("Width", "Height"):
        part = _number(found, f"CroppedAreaImage{side}Pixels", 0)
        full = _number(found, f"FullPano{side}Pixels", 0)
        if part is not None and full is not None and part < _WHOLE * full:
            return f"cropped {name}"
    return name


def _number(found: dict[str, str], name: str, minimum: float, maximum: float = float("inf")) -> float | None:
    try:
        value = float(found[name])
    except (KeyError, ValueError):
        return None
    return value if isfinite(value) and minimum <= value <= maximum else None


def _text(xmp: bytes) -> str:
    """A packet's text. XMP is UTF-8 or UTF-16; other bytes, such as a name in Latin-1, do not hide other properties."""
    if xmp[:2] == b"\xff\xfe" or (xmp[:1] == b"<" and xmp[1:2] == b"\0"):
        encoding = "utf-16-le"
    elif xmp[:2] == b"\xfe\xff" or (xmp[:1] == b"\0" and xmp[1:2] == b"<"):
        encoding = "utf-16-be"
    else:
        encoding = "utf-8"
    return xmp.decode(encoding, errors="replace").strip(_PADDING)
