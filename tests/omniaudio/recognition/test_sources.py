"""sources.json: read, changed by a person, refused with a message for each bad entry."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from omniaudio.audio.ambisonics import angle_between, angles
from omniaudio.errors import ExitCode, UserError
from omniaudio.recognition import kinds
from omniaudio.recognition.sources import Bed, Place, Source, Sources, as_text

DOG: dict[str, Any] = {"kind": "dog", "path": [{"time": 0, "azimuth": 30, "elevation": -5, "size": 25}]}


def _read(folder: Path, content: Any) -> Sources:
    file = folder / "sources.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return Sources.read(file)


def test_sources_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = (Place(time=0, azimuth=170, elevation=0, size=20), Place(time=4, azimuth=-170, elevation=10, size=40))
    found = Sources(
        seconds=10,
        sources=(Source(kind="car", confidence=0.8, path=path, level=70, gain=-3, mute=True),),
        bed=Bed(kind="traffic", level=55),
    )
    found.write(tmp_path / "sources.json")
    assert Sources.read(tmp_path / "sources.json") == found


def test_an_entry_by_hand_needs_a_kind_and_a_place(tmp_path: Path) -> None:
    (source,) = _read(tmp_path, {"seconds": 5, "sources": [DOG]}).sources
    assert (source.confidence, source.gain, source.mute) == (1, 0, False)
    assert source.level == pytest.approx(kinds.load()["dog"].level_at(25), abs=0.05)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"sources": [DOG, {**DOG, "kind": "dgo"}]}, "source 2, kind: there is no kind “dgo”; did you mean “dog”?"),
        ({"sources": [{**DOG, "kind": "wind"}]}, "source 1: “wind” surrounds the listener; make it the bed"),
        ({"bed": {"kind": "dog"}}, "bed: “dog” comes from one direction; for the bed choose one of sea_waves"),
        ({"sources": [{**DOG, "gian": 3}]}, "source 1, gian: there is no such field; remove it"),
        ({"sources": [{**DOG, "gain": "loud"}]}, 'source 1, gain: .*number.*, not "loud"'),
        ({"sources": [{**DOG, "gain": 100}]}, "source 1, gain: .*less than or equal to 24, not 100"),
        ({"sources": [{"kind": "dog"}]}, "source 1, path: is missing; add it"),
        ({"sources": [{**DOG, "path": []}]}, "source 1, path: .*at least 1"),
        (
            {"sources": [{**DOG, "path": [DOG["path"][0], {"time": 1, "azimuth": 0, "elevation": 95}]}]},
            "source 1, place 2, elevation: .*less than or equal to 90, not 95",
        ),
        (
            {"sources": [{**DOG, "path": DOG["path"] * 2}]},
            "source 1: its path goes from 0 s to 0 s; put",
        ),
        ({"sources": [{**DOG, "path": [{**DOG["path"][0], "time": 9}]}]}, "source 1 starts at 9 s and the clip ends"),
        ({"version": 2}, "version: .*1, not 2"),
        ({"sources": [{**DOG, "kind": ["dog"]}]}, "source 1, kind: "),
        ({"bed": {"kind": None}}, "bed, kind: "),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        _read(tmp_path, {"seconds": 5, **entry})
    assert refused.value.code is ExitCode.NO_INPUT


def test_every_bad_entry_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source 1, kind: .*; source 2, gain: .*; bed, kind"):
        _read(tmp_path, {"seconds": 5, "sources": [{**DOG, "kind": "x"}, {**DOG, "gain": 99}], "bed": {"kind": "y"}})


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"seconds": NaN}', '{"seconds": 1, "sources": [7]}'])
def test_what_is_no_list_of_sources_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError):
        _read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.json cannot be read"):
        Sources.read(tmp_path / "gone.json")


def test_a_path_over_the_back_goes_the_short_way() -> None:
    source = Source(
        kind="dog",
        path=(Place(time=0, azimuth=170, elevation=0), Place(time=2, azimuth=-170, elevation=0)),
        level=80,
    )
    azimuth, elevation = np.degrees(angles(source.directions(np.array([-1.0, 0.0, 1.0, 2.0, 5.0]))))
    assert azimuth % 360 == pytest.approx([170, 170, 180, 190, 190], abs=1e-6)
    assert elevation == pytest.approx(np.zeros(5), abs=1e-6)


def test_between_two_places_it_moves_evenly() -> None:
    path = (Place(time=0, azimuth=-90, elevation=0), Place(time=4, azimuth=70, elevation=20))
    directions = Source(kind="car", path=path).directions(np.arange(5.0))
    steps = np.degrees(angle_between(directions[1:], directions[:-1]))
    np.testing.assert_allclose(steps, steps.mean(), atol=1e-6)


def test_to_the_opposite_side_it_goes_over_the_left() -> None:
    path = (Place(time=0, azimuth=0, elevation=0), Place(time=2, azimuth=180, elevation=0))
    (middle,) = Source(kind="car", path=path).directions(np.ones(1))
    np.testing.assert_allclose(middle, [0, 1, 0], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-360, 360), st.floats(-90, 90)), min_size=1, max_size=5),
    st.lists(st.floats(-1, 10), min_size=1, max_size=5),
)
def test_directions_are_always_unit_vectors(way: list[tuple[float, float]], times: list[float]) -> None:
    path = tuple(Place(time=t, azimuth=a, elevation=e) for t, (a, e) in enumerate(way))
    found = Source(kind="dog", path=path, level=80).directions(np.array(times))
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(times)), abs=1e-6)


def test_what_comes_nearer_grows_louder() -> None:
    source = Source(
        kind="car",
        path=(Place(time=0, azimuth=0, elevation=0, size=5), Place(time=2, azimuth=0, elevation=0, size=20)),
        level=70,
        gain=2,
    )
    far, near = source.levels(np.array([0.0, 2.0]))
    assert near == pytest.approx(72)
    assert near - far == pytest.approx(12, abs=0.3)


def test_the_table_says_what_and_where() -> None:
    console = Console(width=120, record=True, file=StringIO())
    console.print(as_text(Sources.model_validate({"seconds": 5, "sources": [DOG], "bed": {"kind": "sea_waves"}})))
    text = console.export_text()
    assert "Dog" in text
    assert "30° left, 5° down" in text
    assert "Sea" in text
