"""The arithmetic of placing a sound under a picture."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.errors import UserError
from blender_addon.frames import FileSpan, MovieTiming, Placement, frame_rate, free_channels, free_file


def timing(**changes: object) -> MovieTiming:
    """A movie of 100 frames at 25 a second, untrimmed, from frame 1."""
    values: dict[str, object] = {
        "content_start": 1,
        "content_frames": 100,
        "shown": Placement(1, 100),
        "file_frames": 100,
        "file_rate": Fraction(25),
        "file_frames_cut": 0,
        "file_frames_cut_end": 0,
    }
    return MovieTiming(**(values | changes))  # type: ignore[arg-type]


def test_the_rate_of_ntsc_film_is_exact_although_blender_keeps_a_float() -> None:
    single_precision = 1.00100004673004150390625  # what fps_base reads after 1.001 was set
    assert frame_rate(24, single_precision) == Fraction(24000, 1001)


def test_an_untrimmed_movie_is_its_whole_file() -> None:
    assert timing().part_shown(Fraction(25)) == (Placement(1, 100), FileSpan(0.0, 4.0))


def test_handles_choose_the_part_of_the_file() -> None:
    place, part = timing(shown=Placement(26, 50)).part_shown(Fraction(25))
    assert place == Placement(26, 50)
    assert part == FileSpan(1.0, 2.0)


def test_frames_that_were_cut_for_good_count_in_the_file_and_not_on_the_timeline() -> None:
    cut = timing(content_frames=80, shown=Placement(1, 80), file_frames_cut=15, file_frames_cut_end=5)
    assert cut.part_shown(Fraction(25)) == (Placement(1, 80), FileSpan(0.6, 3.2))


def test_held_first_and_last_pictures_are_left_out() -> None:
    place, part = timing(shown=Placement(-9, 130)).part_shown(Fraction(25))
    assert place == Placement(1, 100)
    assert part == FileSpan(0.0, 4.0)


def test_a_movie_at_its_own_speed_in_a_scene_of_another_rate() -> None:
    place, part = timing(content_frames=96, shown=Placement(13, 84)).part_shown(Fraction(24))
    assert place == Placement(13, 84)
    assert part == FileSpan(0.5, 3.5)


def test_a_movie_at_another_speed_is_refused_with_its_speed() -> None:
    with pytest.raises(UserError, match=r"1\.2 times its speed; set the scene's frame rate to 25"):
        timing().part_shown(Fraction(30))


def test_a_strip_that_only_holds_a_picture_is_refused() -> None:
    with pytest.raises(UserError, match="none of its file's moving frames"):
        timing(shown=Placement(200, 10)).part_shown(Fraction(25))


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(-50, 50), st.integers(1, 40)), max_size=40),
    st.integers(-50, 50),
    st.integers(1, 40),
    st.frozensets(st.integers(1, 8)),
)
def test_free_channels_are_free_and_the_lowest(
    taken: list[tuple[int, int, int]], start: int, frames: int, closed: frozenset[int]
) -> None:
    place = Placement(start, frames)
    strips = [(channel, Placement(begin, length)) for channel, begin, length in taken]

    def is_free(channel: int) -> bool:
        there = {frame for c, p in strips if c == channel for frame in range(p.start, p.end)}
        return channel not in closed and there.isdisjoint(range(place.start, place.end))

    channels = free_channels(strips, place, 2, closed)
    assert channels == [channel for channel in range(1, 129) if is_free(channel)][:2]


def test_a_full_sequencer_is_refused() -> None:
    strips = [(channel, Placement(1, 10)) for channel in range(1, 128)]
    with pytest.raises(UserError, match="no 2 free channels at frame 5"):
        free_channels(strips, Placement(5, 1), 2)


def test_a_file_name_is_free_when_no_file_of_the_take_is_there(tmp_path: Path) -> None:
    assert free_file(tmp_path / "new", "shot.v2", ".wav") == tmp_path / "new" / "shot.v2_001.wav"
    (tmp_path / "shot.v2_001.map.png").touch()
    (tmp_path / "shot.v2_0021.wav").touch()
    assert free_file(tmp_path, "shot.v2", ".wav") == tmp_path / "shot.v2_002.wav"
