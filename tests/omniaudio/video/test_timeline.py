"""When frames are shown and how long a video is: clocks that restart or are wrong, and headers that claim too much."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.testing import assert_allclose

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.probe import ClipInfo, probe
from omniaudio.video.time_range import check_truncation, requested_range
from omniaudio.video.timeline import timed_frames
from support.videos import number_of_frame, truncate, write_noise_video, write_numbered_video

RATE = 10
B_FRAMES = {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}


def told(path: Path, start: float = 0.0) -> list[tuple[float, int]]:
    """Times and numbers of a video's frames."""
    return [(round(time, 3), number_of_frame(frame)) for time, frame in timed_frames(path, start)]


def in_order(count: int) -> list[tuple[float, int]]:
    return [(k / RATE, k) for k in range(count)]


# --- Time stamps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.ts", "clip.mpg", "clip.mkv"])
def test_recordings_that_were_joined_end_to_end_go_on(tmp_path: Path, name: str) -> None:
    codec, rate = ("mpeg2video", 25) if name == "clip.mpg" else ("libx264", RATE)
    write_numbered_video(tmp_path / name, 20, codec, rate)
    joined = tmp_path / f"joined{Path(name).suffix}"
    joined.write_bytes(2 * (tmp_path / name).read_bytes())
    times, numbers = zip(*told(joined), strict=True)
    assert numbers == (*range(20), *range(20))
    assert_allclose(times, np.arange(40) / rate, atol=0.002)
    info = probe(joined)
    assert (info.duration, info.declared_duration) == (pytest.approx(40 / rate, abs=0.002), None)
    assert info.frames == 40
    late = 30 / rate
    assert next(time for time, _ in timed_frames(joined, late)) <= late
    assert dict(told(joined, late))[late] == 10


@pytest.mark.parametrize(
    ("codec", "options"), [("libx264", B_FRAMES), ("libx264", {"bf": "0"}), ("mpeg4", {"bf": "2", "b": "4000000"})]
)
def test_in_avi_frames_come_in_the_order_of_presentation(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    """AVI says only when a frame is decoded."""
    path = tmp_path / "clip.avi"
    write_numbered_video(path, 30, codec, RATE, **options)
    assert told(path) == in_order(30)
    assert probe(path).duration == pytest.approx(3.0)
    for start in (0.5, 1.0, 1.9, 2.9):
        assert set(told(path, start)) >= set(in_order(30)[round(start * RATE) :])


def remuxed(source: Path, target: Path, change: "dict[int, int | None]") -> None:
    """A copy in which some packets, by their place, have other times of presentation; the unit is a millisecond."""
    with av.open(str(source)) as clip, av.open(str(target), "w") as video:
        stream = video.add_stream_from_template(clip.streams.video[0])
        for place, packet in enumerate(clip.demux(video=0)):
            if packet.size:
                packet.stream = stream
                packet.pts = packet.dts = change.get(place, packet.pts)
                video.mux(packet)


def test_frames_whose_times_repeat_are_kept_between_their_neighbours(tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "clip.mkv", 12, "mjpeg", RATE)
    remuxed(tmp_path / "clip.mkv", tmp_path / "odd.mkv", {5: 400, 6: 400})
    times, numbers = zip(*told(tmp_path / "odd.mkv"), strict=True)
    assert numbers == tuple(range(12))
    assert times == (0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.475, 0.7, 0.8, 0.9, 1.0, 1.1)


def test_a_long_pause_is_one_where_the_clock_does_not_restart(tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "clip.mkv", 4, "mjpeg", RATE)
    remuxed(tmp_path / "clip.mkv", tmp_path / "pause.mkv", {2: 60_000, 3: 60_100})
    assert told(tmp_path / "pause.mkv") == [(0.0, 0), (0.1, 1), (60.0, 2), (60.1, 3)]


def test_times_begin_with_the_first_frame(tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "clip.mkv", 6, "mjpeg", RATE)
    remuxed(tmp_path / "clip.mkv", tmp_path / "late.mkv", {k: 5000 + 100 * k for k in range(6)})
    assert told(tmp_path / "late.mkv") == in_order(6)
    info = probe(tmp_path / "late.mkv")
    assert (info.duration, info.declared_duration) == (pytest.approx(0.6, abs=0.002), None)


# --- What is cut off ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {}), ("a.flv", {})]
)
def test_a_header_that_says_more_than_can_be_read(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path = write_noise_video(tmp_path / name, **options)
    whole = probe(path)
    assert (whole.duration, whole.declared_duration) == (pytest.approx(6, abs=0.002), None)
    info = probe(truncate(path))
    assert info.duration == pytest.approx(3, abs=0.5)
    assert info.declared_duration == pytest.approx(6, abs=0.002)
    assert info.frames == pytest.approx(30, abs=5)


@pytest.mark.parametrize("sound_seconds", [9.0, 2.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv", "a.ts"])
def test_sound_of_another_length_cuts_nothing_off(tmp_path: Path, name: str, sound_seconds: float) -> None:
    info = probe(write_noise_video(tmp_path / name, sound_seconds=sound_seconds))
    assert (info.duration, info.declared_duration) == (pytest.approx(6, abs=0.03), None)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("fragments.mp4", {"movflags": "frag_keyframe"}),
        ("fragments.mp4", {"movflags": "dash+frag_keyframe+global_sidx"}),
        ("live.mkv", {"live": "1"}),
    ],
)
def test_whole_recordings_of_other_makes(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    info = probe(write_noise_video(tmp_path / name, **options))
    assert (info.duration, info.declared_duration) == (pytest.approx(6, abs=0.002), None)


def test_a_live_recording_that_broke_off_is_as_long_as_it_is(tmp_path: Path) -> None:
    info = probe(truncate(write_noise_video(tmp_path / "live.mkv", live="1")))
    assert (info.duration, info.declared_duration) == (pytest.approx(3, abs=0.5), None)


def test_matroska_without_cues_is_whole(tmp_path: Path) -> None:
    """The index is made void: players read on from the beginning."""
    path = write_noise_video(tmp_path / "a.mkv")
    data = path.read_bytes()
    cues = data.rindex(bytes.fromhex("1c53bb6b"))
    seek = data.index(bytes.fromhex("1c53bb6b"))
    changed = bytearray(data)
    for place in (seek, cues):
        changed[place : place + 4] = bytes.fromhex("1c53bb00")
    path.write_bytes(changed)
    info = probe(path)
    assert (info.duration, info.declared_duration) == (pytest.approx(6, abs=0.002), None)


def test_a_last_frame_that_stays_cuts_nothing_off(tmp_path: Path) -> None:
    """Matroska's frames need no duration: the header alone says how long the last one stays."""
    path = tmp_path / "slides.mkv"
    write_numbered_video(path, 5, "mjpeg", RATE)
    data = bytearray(path.read_bytes())
    place = data.index(bytes.fromhex("448988")) + 3  # Duration, eight bytes
    data[place : place + 8] = struct.pack(">d", 30_000.0)
    path.write_bytes(data)
    assert probe(path).declared_duration is None


def test_an_edit_list_cuts_nothing_off(tmp_path: Path) -> None:
    """An MP4's header may promise more than its index has."""
    path = write_noise_video(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    place = data.index(b"mdhd") + 4 + 12
    unit, ticks = struct.unpack_from(">II", data, place)
    assert ticks == 6 * unit
    struct.pack_into(">I", data, place + 4, 40 * unit)
    list_at = data.index(b"elst") + 12
    struct.pack_into(">I", data, list_at, 40_000)
    path.write_bytes(data)
    info = probe(path)
    assert (info.duration, info.declared_duration) == (pytest.approx(6, abs=0.002), None)


# --- What is asked for of a file that is cut off --------------------------------------------------------------------


@pytest.fixture
def info(tmp_path: Path) -> ClipInfo:
    """2 s can be read of 40."""
    write_numbered_video(tmp_path / "clip.mp4", 20)
    return probe(tmp_path / "clip.mp4").model_copy(update={"declared_duration": 40.0})


def test_what_is_left_is_not_taken_for_the_whole(info: ClipInfo) -> None:
    for start, duration in ((0.0, None), (1.0, None), (0.0, 40.0), (1.0, 3.0)):
        with pytest.raises(UserError) as refusal:
            requested_range(info, start, duration, False)
        assert refusal.value.code is ExitCode.TRUNCATED
        for words in ("clip.mp4 is truncated", "says 40.00 s", "2.00 s can be read", "--allow-truncated"):
            assert words in refusal.value.message
        assert requested_range(info, start, duration, True) == (start, pytest.approx(2 - start))


def test_a_range_that_can_be_read_needs_no_option(info: ClipInfo) -> None:
    assert requested_range(info, 0.5, 1.5, False) == requested_range(info, 0.5, 1.5, True) == (0.5, 1.5)
    check_truncation(info, 2.05, False)
    with pytest.raises(UserError) as refusal:
        check_truncation(info, 2.5, False)
    assert refusal.value.code is ExitCode.TRUNCATED


def test_what_was_never_there_is_no_range(info: ClipInfo) -> None:
    for start, duration in ((3.0, None), (0.0, 50.0), (float("nan"), 1.0), (0.0, float("nan"))):
        with pytest.raises(UserError) as refusal:
            requested_range(info, start, duration, True)
        assert refusal.value.code is ExitCode.BAD_RANGE
