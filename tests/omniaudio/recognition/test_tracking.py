"""Looks at a clip become sources: a source stays one, comes and goes, and keeps its kind by evidence."""

import numpy as np
import pytest

from omniaudio.audio.ambisonics import unit_vector
from omniaudio.recognition import kinds
from omniaudio.recognition.finder import Sighting
from omniaudio.recognition.tracking import follow, source

TABLE = kinds.load()


def _seen(azimuth: float, kind: str = "dog", confidence: float = 0.9, size: float = 30, other: str = "cat") -> Sighting:
    shares = np.zeros(len(TABLE.kinds), np.float32)
    shares[TABLE.ids.index(kind)] = confidence
    shares[TABLE.ids.index(other)] = (1 - confidence) / 2
    return Sighting(unit_vector(np.radians(azimuth), 0.0), np.radians(size), shares, confidence)


def test_a_source_that_moves_over_the_back_is_one_source_on_a_smooth_path() -> None:
    looks = [[_seen(azimuth)] for azimuth in (150, 165, 180, -165, -150)]
    (track,) = follow(looks)
    found = source(track, [1, 3, 5, 7, 9], (0, 10), TABLE)
    assert found.kind == "dog"
    assert (found.start, found.end) == (0, 10)
    # It was under way before the first look, and goes on after the last.
    assert [place.azimuth % 360 for place in found.path] == pytest.approx(
        [142.5, 150, 165, 180, 195, 210, 217.5], abs=0.5
    )


def test_a_source_that_is_seen_at_its_one_end_and_then_at_its_other_stays_one() -> None:
    (track,) = follow([[_seen(-125)], [_seen(-141)], [_seen(-125)], [_seen(-125)]])
    assert track.looks == [0, 1, 2, 3]


def test_what_moves_fast_is_one_source() -> None:
    """30° a second, looked at every other second."""
    (track,) = follow([[_seen(azimuth)] for azimuth in (-60, 0, 60, 120)])
    assert track.looks == [0, 1, 2, 3]


def test_another_kind_far_away_is_another_source() -> None:
    assert (
        len(follow([[_seen(-60), _seen(90, "car")], [_seen(-60), _seen(90, "car")], [_seen(-60)], [_seen(-60)]])) == 2
    )


def test_a_person_who_goes_somewhere_walks() -> None:
    for azimuths, kind in (((-40, -25, -10, 5), "footsteps"), ((10, 13, 9, 12), "speech")):
        (track,) = follow([[_seen(azimuth, "speech")] for azimuth in azimuths])
        assert source(track, [1, 3, 5, 7], (0, 8), TABLE).kind == kind


def test_two_sources_stay_two_even_where_they_change_places_in_the_list() -> None:
    looks = [[_seen(60), _seen(-60, "car")], [_seen(-62, "car"), _seen(58)], [_seen(61), _seen(-61, "car")]]
    found = [source(track, [1, 3, 5], (0, 6), TABLE) for track in follow(looks)]
    assert sorted((one.kind, round(one.path[0].azimuth, -1)) for one in found) == [("car", -60.0), ("dog", 60.0)]


def test_the_kind_is_held_by_evidence() -> None:
    """One look that takes the dog for a cat changes nothing."""
    looks = [[_seen(10)], [_seen(10, "cat", 0.6, other="dog")], [_seen(10)]]
    (track,) = follow(looks)
    assert source(track, [1, 3, 5], (0, 6), TABLE).kind == "dog"


def test_what_appears_and_leaves_lasts_from_halfway_before_to_halfway_after() -> None:
    looks = [[], [_seen(40)], [_seen(40)], [], [], []]
    (track,) = follow(looks)
    found = source(track, [1, 3, 5, 7, 9, 11], (0, 12), TABLE)
    assert (found.start, found.end) == (2, 6)


def test_a_look_that_misses_it_does_not_end_it() -> None:
    (track,) = follow([[_seen(40)], [], [_seen(42)], [_seen(41)]])
    assert track.looks == [0, 2, 3]


def test_what_one_look_of_several_sees_faintly_is_chance() -> None:
    assert follow([[], [_seen(40, confidence=0.4)], []]) == []
    assert len(follow([[], [_seen(40, confidence=0.9)], []])) == 1
    assert len(follow([[_seen(40, confidence=0.4)]])) == 1  # of a still image there is one look


def test_a_still_source_does_not_tremble() -> None:
    (track,) = follow([[_seen(azimuth)] for azimuth in (29, 31, 30, 28, 32)])
    found = source(track, [1, 3, 5, 7, 9], (0, 10), TABLE)
    assert [place.azimuth for place in found.path] == pytest.approx([30, 30], abs=0.2)


def test_what_is_seen_larger_is_nearer_and_louder() -> None:
    near, far = (follow([[_seen(0, size=size)]])[0] for size in (40, 4))
    levels = [source(track, [0.5], (0, 1), TABLE).level for track in (near, far)]
    assert levels[0] - levels[1] == pytest.approx(20, abs=2)
