"""What sounds, as it is detected, changed and told again; and the table of kinds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.core.sound_sources import (
    changed,
    direction,
    later,
    message,
    moves,
    new_bed,
    new_source,
    parsed,
)
from omniaudio_client import kinds

sources = pytest.importorskip("omniaudio.recognition.sources")
engine_kinds = pytest.importorskip("omniaudio.recognition.kinds")

STILL: dict[str, Any] = {
    "kind": "dog",
    "confidence": 0.812,
    "level": 71.3,
    "gain": 0.0,
    "mute": False,
    "path": [
        {"time": 0.0, "azimuth": 90.25, "elevation": -3.5, "size": 24.0},
        {"time": 10.0, "azimuth": 90.25, "elevation": -3.5, "size": 24.0},
    ],
}
MOVING = STILL | {
    "path": [
        {"time": 2.0, "azimuth": 170.0, "elevation": 0.0, "size": 20.0},
        {"time": 4.0, "azimuth": -170.0, "elevation": 10.0, "size": 40.0},
    ]
}


def unchanged(entry: dict[str, Any], **change: Any) -> dict[str, Any]:
    azimuth, elevation = direction(entry)
    same = {"kind": entry["kind"], "gain": 0.0, "mute": False, "azimuth": azimuth, "elevation": elevation}
    return changed(entry, **(same | change))


def accepted(*entries: dict[str, Any], seconds: float = 10.0, bed: dict[str, Any] | None = None) -> Any:
    """As the service reads them."""
    detected = {"version": 1, "seconds": seconds, "sources": entries, "bed": bed}
    return sources.Sources.model_validate_json(json.dumps(detected))


@pytest.mark.parametrize("entry", [STILL, MOVING])
def test_what_nobody_changed_is_told_as_it_was(entry: dict[str, Any]) -> None:
    assert unchanged(entry) == entry
    in_single_precision = {"azimuth": direction(entry)[0] + 2e-5, "gain": 1e-7}
    assert unchanged(entry, **in_single_precision) == entry


def test_another_kind_has_a_level_of_its_own_and_nobody_doubts_it() -> None:
    (source,) = accepted(unchanged(STILL, kind="cow")).sources
    assert (source.kind, source.confidence) == ("cow", 1.0)
    assert source.level != STILL["level"]
    assert source.path == accepted(STILL).sources[0].path


def test_gain_and_mute_are_told() -> None:
    entry = unchanged(STILL, gain=-6.000000238, mute=True)
    assert (entry["gain"], entry["mute"], entry["level"]) == (-6.0, True, 71.3)


def test_a_path_is_rotated_as_a_whole_the_shorter_way_over_the_back() -> None:
    path = unchanged(MOVING, azimuth=-150.0, elevation=5.0)["path"]
    assert [(place["azimuth"], place["elevation"]) for place in path] == [(-150.0, 5.0), (-130.0, 15.0)]
    assert [place["time"] for place in path] == [2.0, 4.0]
    assert moves(MOVING)
    assert not moves(STILL)


directions = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


@given(directions, directions, st.floats(-60, 24), st.booleans())
def test_whatever_is_changed_the_service_takes(
    wanted: tuple[float, float], was: tuple[float, float], gain: float, mute: bool
) -> None:
    path = [{"time": 0.0, "azimuth": 2 * was[0], "elevation": was[1], "size": 20.0}, *MOVING["path"]]
    azimuth, elevation = wanted
    entry = changed(STILL | {"path": path}, kind="owl", gain=gain, mute=mute, azimuth=azimuth, elevation=elevation)
    (source,) = accepted(entry).sources
    first = source.path[0]
    assert abs((first.azimuth - azimuth + 180) % 360 - 180) < 0.01
    assert abs(first.elevation - elevation) < 0.01


def test_what_a_person_adds_the_service_takes() -> None:
    found = accepted(new_source("chicken"), bed=new_bed("rain"))
    (source,) = found.sources
    assert (source.confidence, source.path[0].azimuth, found.bed.kind) == (1.0, 0.0, "rain")


def test_in_a_clip_that_begins_later_a_path_is_cut() -> None:
    first, second = later(MOVING, -3.0)["path"]
    assert (first["time"], first["azimuth"] % 360, first["elevation"], first["size"]) == (0.0, 180.0, 5.0, 30.0)
    assert second == MOVING["path"][1] | {"time": 1.0}
    assert later(MOVING, -4.5) is None
    assert later(MOVING, 1.0)["path"][0]["time"] == 3.0
    assert later(new_source("dog"), -5.0) == new_source("dog")
    accepted(later(MOVING, -3.0))


@pytest.mark.parametrize("text", ["", "[1]", "{", "3"])
def test_what_was_edited_by_hand_is_nothing_told(text: str) -> None:
    assert parsed(text) == {}


def test_what_was_found_is_a_message() -> None:
    assert message({"sources": [STILL, STILL], "bed": new_bed("rain")}) == "Found 2 sources and a bed."
    assert message({"sources": [], "bed": None}) == "Found no source."


def test_the_kinds_are_the_service_s() -> None:
    theirs = {(kind.id, kind.name, kind.bed) for kind in engine_kinds.load().kinds}
    assert {(kind.id, kind.name, kind.bed) for kind in kinds.all_kinds()} == theirs
    assert kinds.name_of("chicken") == "Chicken, rooster"
    assert kinds.name_of("a later version's") == "a later version's"
