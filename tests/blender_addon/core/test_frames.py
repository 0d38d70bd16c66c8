"""The arithmetic of placing a sound under a clip."""

import struct
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.core.errors import UserError
from blender_addon.core.frames import (
    FileSpan,
    Placement,
    VideoTiming,
    frame_rate,
    free_channels,
    free_file,
    shortened,
    whole_file,
)


def timing(**changes: object) -> VideoTiming:
    """A video of 100 frames at 25 a second, untrimmed, from frame 1."""
    values: dict[str, object] = {
        "content_start": 1,
        "content_frames": 100,
        "shown": Placement(1, 100),
        "file_frames": 100,
        "file_rate": Fraction(25),
        "file_frames_cut": 0,
        "file_frames_cut_end": 0,
    }
    return VideoTiming(**(values | changes))  # type: ignore[arg-type]


def test_the_rate_of_ntsc_is_exact_although_blender_keeps_a_float() -> None:
    single_precision = 1.00100004673004150390625  # what fps_base reads after 1.001 was set
    assert frame_rate(24, single_precision) == Fraction(24000, 1001)


def test_an_untrimmed_video_is_its_whole_file() -> None:
    assert timing().part_shown(Fraction(25)) == (Placement(1, 100), FileSpan(0.0, 4.0))


def test_handles_choose_the_part_of_the_file() -> None:
    place, part = timing(shown=Placement(26, 50)).part_shown(Fraction(25))
    assert place == Placement(26, 50)
    assert part == FileSpan(1.0, 2.0)


def test_frames_that_were_cut_for_good_count_in_the_file_and_not_on_the_timeline() -> None:
    cut = timing(content_frames=80, shown=Placement(1, 80), file_frames_cut=15, file_frames_cut_end=5)
    assert cut.part_shown(Fraction(25)) == (Placement(1, 80), FileSpan(0.6, 3.2))


def test_held_first_and_last_frames_are_left_out() -> None:
    place, part = timing(shown=Placement(-9, 130)).part_shown(Fraction(25))
    assert place == Placement(1, 100)
    assert part == FileSpan(0.0, 4.0)


def test_a_video_at_its_own_speed_in_a_scene_of_another_rate() -> None:
    place, part = timing(content_frames=96, shown=Placement(13, 84)).part_shown(Fraction(24))
    assert place == Placement(13, 84)
    assert part == FileSpan(0.5, 3.5)


@pytest.mark.parametrize(
    ("fps", "base", "rate"),
    [
        (24, 1.001, Fraction(24000, 1001)),
        (24, 1.0, Fraction(24)),
        (25, 1.0, Fraction(25)),
        (30, 1.001, Fraction(30000, 1001)),
        (30, 1.0, Fraction(30)),
        (48, 1.0, Fraction(48)),
        (50, 1.0, Fraction(50)),
        (60, 1.001, Fraction(60000, 1001)),
        (60, 1.0, Fraction(60)),
        (120, 1.001, Fraction(120000, 1001)),
        (120, 1.0, Fraction(120)),
        (12, 0.5, Fraction(24)),
    ],
)
def test_every_rate_that_blender_offers_is_a_fraction(fps: int, base: float, rate: Fraction) -> None:
    in_single_precision = struct.unpack("f", struct.pack("f", base))[0]
    assert frame_rate(fps, in_single_precision) == rate


def test_a_video_at_another_speed_is_told() -> None:
    assert timing().at_own_speed(Fraction(25))
    assert not timing().at_own_speed(Fraction(30))
    assert not timing(content_frames=50).at_own_speed(Fraction(25))
    assert not timing().at_own_speed(Fraction(24))


RATES = [Fraction(24000, 1001), *map(Fraction, (24, 25, 30, 48, 50, 60, 120)), Fraction(60000, 1001)]


@given(
    st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    st.integers(30, 5000),
    st.integers(-1000, 1000),
    st.tuples(st.integers(0, 10), st.integers(0, 10)),
    st.tuples(st.integers(-50, 200), st.integers(1, 5000)),
)
def test_each_frame_of_the_part_shows_the_second_of_the_file_that_the_sound_has_there(
    rates: tuple[Fraction, Fraction],
    file_frames: int,
    start: int,
    cuts: tuple[int, int],
    shown: tuple[int, int],
) -> None:
    """At the speed of the file, in a scene of any rate, with frames cut off and handles moved."""
    scene_rate, file_rate = rates
    playing = file_frames - sum(cuts)
    content = max(1, round(playing / file_rate * scene_rate))
    video = timing(
        content_start=start,
        content_frames=content,
        shown=Placement(start + shown[0], shown[1]),
        file_frames=file_frames,
        file_rate=file_rate,
        file_frames_cut=cuts[0],
        file_frames_cut_end=cuts[1],
    )
    assert video.at_own_speed(scene_rate)
    try:
        place, part = video.part_shown(scene_rate)
    except UserError:
        assert shown[0] >= content or shown[0] + shown[1] <= 0
        return
    assert place == video.shown.common(Placement(start, content))
    assert part.duration == pytest.approx(float(place.frames / scene_rate))
    for frame in (place.start, place.end - 1):
        in_sound = float((frame - place.start) / scene_rate)
        in_file = float(Fraction(cuts[0]) / file_rate + (frame - start) / scene_rate)
        assert part.start + in_sound == pytest.approx(in_file)
    # Blender has rounded the content to whole frames; the part ends at most half a frame behind the file's.
    assert part.start + part.duration <= float((file_frames - cuts[1]) / file_rate + Fraction(1, 2) / scene_rate) + 1e-9


@given(st.fractions(Fraction(1, 1000), 4000, max_denominator=1001), st.sampled_from(RATES), st.integers(-500, 500))
def test_a_whole_file_fills_whole_frames_and_no_more(seconds: Fraction, rate: Fraction, start: int) -> None:
    place, part = whole_file(seconds, start, rate)
    assert place.start == start
    assert part.start == 0.0
    assert 0 < part.duration <= float(seconds)
    assert float(seconds) - part.duration <= 1 / float(rate)
    assert place.frames == max(1, round(part.duration * float(rate)))


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(-50, 50), st.integers(0, 60))
def test_what_two_places_have_in_common(a: int, b: int, c: int, d: int) -> None:
    one, other = Placement(a, b), Placement(c, d)
    common = one.common(other)
    assert set(range(common.start, common.end)) == set(range(a, one.end)) & set(range(c, other.end))


def test_a_strip_that_only_holds_a_clip_is_refused() -> None:
    with pytest.raises(UserError, match="none of its file's moving frames"):
        timing(shown=Placement(200, 10)).part_shown(Fraction(25))


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(-50, 50), st.integers(1, 40)), max_size=40),
    st.integers(-50, 50),
    st.integers(1, 40),
    st.frozensets(st.integers(1, 8)),
    st.integers(0, 10),
)
def test_free_channels_are_free_and_the_nearest(
    taken: list[tuple[int, int, int]], start: int, frames: int, closed: frozenset[int], near: int
) -> None:
    place = Placement(start, frames)
    strips = [(channel, Placement(begin, length)) for channel, begin, length in taken]

    def is_free(channel: int) -> bool:
        there = {frame for c, p in strips if c == channel for frame in range(p.start, p.end)}
        return channel not in closed and there.isdisjoint(range(place.start, place.end))

    channels = free_channels(strips, place, 2, closed, near)
    free = [channel for channel in range(1, 129) if is_free(channel)]
    assert set(channels) <= set(free)
    assert sorted(abs(channel - near) for channel in channels) == sorted(abs(channel - near) for channel in free)[:2]


def test_the_channel_below_is_preferred_to_the_one_above() -> None:
    assert free_channels([(4, Placement(1, 10))], Placement(5, 1), 2, near=4) == [3, 5]


def test_a_full_sequencer_is_refused() -> None:
    strips = [(channel, Placement(1, 10)) for channel in range(1, 128)]
    with pytest.raises(UserError, match="no 2 free channels at frame 5"):
        free_channels(strips, Placement(5, 1), 2)


def test_a_file_name_is_free_when_no_file_of_the_take_is_there(tmp_path: Path) -> None:
    assert free_file(tmp_path / "new", "shot.v2", ".wav") == tmp_path / "new" / "shot.v2_001.wav"
    (tmp_path / "shot.v2_001.map.png").touch()
    (tmp_path / "shot.v2_0021.wav").touch()
    assert free_file(tmp_path, "shot.v2", ".wav") == tmp_path / "shot.v2_002.wav"


@given(st.text(), st.integers(1, 40))
def test_a_shortened_name_fits_and_is_the_beginning(name: str, most: int) -> None:
    short = shortened(name, most)
    assert len(short.encode()) <= most
    assert name.startswith(short)
    if len(name.encode()) <= most:
        assert short == name.rstrip()
