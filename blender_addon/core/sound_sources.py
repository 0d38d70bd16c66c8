"""The sources of a clip as the service detects and accepts them (`sources.json`, docs/recognition.md), with the user's
changes. Does not import bpy.

Angles are in degrees: azimuth to the left of the panorama's centre, elevation up from its horizon. Times are in
seconds. Unchanged values stay as detected, to the digit, so that the same list gives the same sound."""

import json
from typing import Any

Entry = dict[str, Any]
"""A source, or the bed, of `sources.json`."""

SAME_DEGREES = 1e-3
"""Blender stores angles as single-precision radians; smaller differences are not the user's."""
_DECIMALS = 3


def parsed(text: str) -> Entry:
    """The JSON object in `text`; empty if it is not one, for instance after editing by hand."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def direction(entry: Entry) -> tuple[float, float]:
    """Azimuth and elevation at the start of a source's path; zeros for the bed."""
    path = entry.get("path") or [{}]
    return _wrapped(float(path[0].get("azimuth", 0.0))), float(path[0].get("elevation", 0.0))


def moves(entry: Entry) -> bool:
    """Whether a source changes its direction."""
    return len({(place["azimuth"], place["elevation"]) for place in entry.get("path", ())}) > 1


def new_source(kind: str) -> Entry:
    """A source in front, for the whole clip."""
    return {"kind": kind, "path": [{"time": 0.0, "azimuth": 0.0, "elevation": 0.0}]}


def new_bed(kind: str) -> Entry:
    """A bed with the typical level of its kind."""
    return {"kind": kind}


def changed(
    detected: Entry, *, kind: str, gain: float, mute: bool, azimuth: float = 0.0, elevation: float = 0.0
) -> Entry:
    """An entry with the user's changes. A changed kind drops the detected level and confidence. The whole path is
    rotated so that it begins at `azimuth` and `elevation`; elevations are clamped at the poles."""
    entry = dict(detected)
    if kind != detected.get("kind"):
        entry = {name: value for name, value in detected.items() if name not in ("level", "confidence")} | {
            "kind": kind
        }
    if round(gain, _DECIMALS) != round(float(detected.get("gain", 0.0)), _DECIMALS):
        entry["gain"] = round(gain, _DECIMALS)
    if mute != detected.get("mute", False):
        entry["mute"] = mute
    if "path" in detected:
        was = direction(detected)
        rotation, lift = _wrapped(azimuth - was[0]), elevation - was[1]
        if max(abs(rotation), abs(lift)) > SAME_DEGREES:
            entry["path"] = [_rotated(place, rotation, lift) for place in detected["path"]]
    return entry


def later(entry: Entry, seconds: float) -> Entry | None:
    """A source with all times `seconds` later, cut at 0; None if it ends before 0."""
    places = [place | {"time": place["time"] + seconds} for place in entry["path"]]
    before = [place for place in places if place["time"] <= 0]
    after = [place for place in places if place["time"] > 0]
    if not before:
        path = after
    elif after:
        path = [_between(before[-1], after[0]), *after]
    elif len(places) == 1:  # a source that stays sounds until the end
        path = [places[0] | {"time": 0.0}]
    else:
        return None
    return entry | {"path": [place | {"time": round(place["time"], _DECIMALS)} for place in path]}


def message(detected: Entry) -> str:
    """A summary of what was detected."""
    count = len(detected.get("sources", ()))
    found = f"Found {count} source{'s' if count > 1 else ''}" if count else "Found no source"
    return f"{found}{' and a bed' if detected.get('bed') else ''}."


def _wrapped(degrees: float) -> float:
    """The same azimuth within -180 to 180."""
    return degrees if -180 <= degrees <= 180 else (degrees + 180) % 360 - 180


def _rotated(place: Entry, rotation: float, lift: float) -> Entry:
    azimuth = _wrapped(place["azimuth"] + rotation)
    elevation = min(90.0, max(-90.0, place["elevation"] + lift))
    return place | {"azimuth": round(azimuth, _DECIMALS), "elevation": round(elevation, _DECIMALS)}


def _between(before: Entry, after: Entry) -> Entry:
    """Interpolates at second 0 between two points of a path, the shorter way round."""
    share = -before["time"] / (after["time"] - before["time"])
    azimuth = _wrapped(before["azimuth"] + share * _wrapped(after["azimuth"] - before["azimuth"]))
    elevation = before["elevation"] + share * (after["elevation"] - before["elevation"])
    size = before.get("size", 20.0) + share * (after.get("size", 20.0) - before.get("size", 20.0))
    rounded = {"azimuth": round(azimuth, _DECIMALS), "elevation": round(elevation, _DECIMALS)}
    return before | rounded | {"time": 0.0, "size": round(size, _DECIMALS)}
