"""What sounds in a clip, as the engine tells it and takes it back (`sources.json`, docs/recognition.md), with what a
person has changed. Knows no bpy.

Angles are in degrees: azimuth to the left of the picture's middle, elevation up from its horizon. Times are in seconds.
What is not changed stays as it was told, to the digit, so that the same list makes the same sound.
"""

import json
from typing import Any

Entry = dict[str, Any]
"""A source, or the bed, of `sources.json`."""

SAME_DEGREES = 1e-3
"""Blender keeps angles in radians of single precision; a smaller difference is none that a person made."""
_DECIMALS = 3


def parsed(text: str) -> Entry:
    """An object of JSON; an empty one where the text is none, edited by hand."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def direction(entry: Entry) -> tuple[float, float]:
    """Azimuth and elevation where a source begins; of the bed, zeros."""
    path = entry.get("path") or [{}]
    return _wrapped(float(path[0].get("azimuth", 0.0))), float(path[0].get("elevation", 0.0))


def moves(entry: Entry) -> bool:
    """Whether a source is not always in the same direction."""
    return len({(place["azimuth"], place["elevation"]) for place in entry.get("path", ())}) > 1


def new_source(kind: str) -> Entry:
    """A source in front that sounds from the beginning to the end."""
    return {"kind": kind, "path": [{"time": 0.0, "azimuth": 0.0, "elevation": 0.0}]}


def new_bed(kind: str) -> Entry:
    """What surrounds the listener, with the level that is typical of it."""
    return {"kind": kind}


def changed(told: Entry, *, kind: str, gain: float, mute: bool, azimuth: float = 0.0, elevation: float = 0.0) -> Entry:
    """An entry with what a person has changed. Another kind has its own level, and nobody doubts it. The path is turned
    so that it begins at `azimuth` and `elevation`; the poles stop it."""
    entry = dict(told)
    if kind != told.get("kind"):
        entry = {name: value for name, value in told.items() if name not in ("level", "confidence")} | {"kind": kind}
    if round(gain, _DECIMALS) != round(float(told.get("gain", 0.0)), _DECIMALS):
        entry["gain"] = round(gain, _DECIMALS)
    if mute != told.get("mute", False):
        entry["mute"] = mute
    if "path" in told:
        was = direction(told)
        turn, lift = _wrapped(azimuth - was[0]), elevation - was[1]
        if max(abs(turn), abs(lift)) > SAME_DEGREES:
            entry["path"] = [_turned(place, turn, lift) for place in told["path"]]
    return entry


def later(entry: Entry, seconds: float) -> Entry | None:
    """A source in a clip that began `seconds` earlier; None where it is over before the clip begins."""
    places = [place | {"time": place["time"] + seconds} for place in entry["path"]]
    before = [place for place in places if place["time"] <= 0]
    after = [place for place in places if place["time"] > 0]
    if not before:
        path = after
    elif after:
        path = [_between(before[-1], after[0]), *after]
    elif len(places) == 1:  # it sounds from then on
        path = [places[0] | {"time": 0.0}]
    else:
        return None
    return entry | {"path": [place | {"time": round(place["time"], _DECIMALS)} for place in path]}


def message(told: Entry) -> str:
    """What was found, in a few words."""
    count = len(told.get("sources", ()))
    found = f"Found {count} source{'s' if count > 1 else ''}" if count else "Found no source"
    return f"{found}{' and a bed' if told.get('bed') else ''}."


def _wrapped(degrees: float) -> float:
    """The same direction from -180 to 180."""
    return degrees if -180 <= degrees <= 180 else (degrees + 180) % 360 - 180


def _turned(place: Entry, turn: float, lift: float) -> Entry:
    azimuth = _wrapped(place["azimuth"] + turn)
    elevation = min(90.0, max(-90.0, place["elevation"] + lift))
    return place | {"azimuth": round(azimuth, _DECIMALS), "elevation": round(elevation, _DECIMALS)}


def _between(before: Entry, after: Entry) -> Entry:
    """The place at second 0 between two others, the shorter way round."""
    share = -before["time"] / (after["time"] - before["time"])
    azimuth = _wrapped(before["azimuth"] + share * _wrapped(after["azimuth"] - before["azimuth"]))
    elevation = before["elevation"] + share * (after["elevation"] - before["elevation"])
    size = before.get("size", 20.0) + share * (after.get("size", 20.0) - before.get("size", 20.0))
    rounded = {"azimuth": round(azimuth, _DECIMALS), "elevation": round(elevation, _DECIMALS)}
    return before | rounded | {"time": 0.0, "size": round(size, _DECIMALS)}
