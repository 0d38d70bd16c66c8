"""The moving map: where and when a sound is seen."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from omniaudio.audio.ambisonics import encode, unit_vector
from omniaudio.errors import ExitCode, UserError
from omniaudio.export360.direction_map_video import (
    HEIGHT,
    DirectionMapVideoRequest,
    loudness_around,
    write_direction_map_video,
)
from omniaudio.progress import Report
from omniaudio.video.panorama import to_uv
from support.videos import write_numbered_video

RATE = 48_000
Shown = tuple[float, NDArray[np.int64]]
"""A frame with its time."""


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    Image.fromarray(np.full((64, 128, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    return tmp_path / "grey.png"


def noise(seconds: float, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))


def quiet(report: Report) -> None:
    """A progress callback that does nothing."""


def map_frames(tmp_path: Path, foa: NDArray[np.float32], clip: Path, start: float = 0.0) -> list[Shown]:
    soundfile.write(tmp_path / "foa.wav", foa.T, RATE, subtype="PCM_24")
    request = DirectionMapVideoRequest(
        sound=tmp_path / "foa.wav", clip=clip, output=tmp_path / "map.mp4", clip_start=start
    )
    with av.open(str(write_direction_map_video(request, quiet))) as made:
        frames = list(made.decode(video=0))
    return [(float(frame.time or 0), frame.to_ndarray(format="rgb24").astype(int)) for frame in frames]


def colourful(frame: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.ptp(frame, axis=2) > 40


@pytest.mark.slow
def test_a_moving_source_is_seen_where_it_is(tmp_path: Path) -> None:
    """From the left behind over the front to the right behind, rising and falling: its middle is within 3 degrees."""
    seconds = 3.0
    times = np.arange(round(seconds * RATE)) / RATE

    def place(time: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.radians(150 - 100 * time), np.radians(40 * np.sin(2 * time))

    write_numbered_video(tmp_path / "plain.mp4", 1, rate=8)
    frames = map_frames(tmp_path, encode(noise(seconds), *place(times)), tmp_path / "plain.mp4")
    assert len(frames) == 24
    for time, frame in frames:
        u, v = to_uv(unit_vector(*place(np.array(time + 0.5 / 8))))
        brightness = np.where(colourful(frame), frame.sum(axis=2), 0)
        loudest = np.argwhere(brightness >= brightness.max() - 30).mean(axis=0)
        expected = np.array([(1 - v) * HEIGHT, u * 2 * HEIGHT])
        assert np.abs(loudest - expected).max() < 3 / 180 * HEIGHT / np.cos(np.radians(40))


def test_silence_is_not_drawn(tmp_path: Path, grey: Path) -> None:
    frames = map_frames(tmp_path, np.zeros((4, RATE // 2), np.float32), grey)
    assert not any(colourful(frame).any() for _, frame in frames)


def test_a_pause_is_dark_and_a_quiet_passage_is_seen_after_a_while(tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "plain.mp4", 1, rate=2)
    foa = encode(noise(5) * np.repeat([1.0, 0.03, 0.03, 0.03, 0.03], RATE), 0.5, 0.2)
    seen = [colourful(frame).any() for _, frame in map_frames(tmp_path, foa, tmp_path / "plain.mp4")]
    assert seen[:5] + seen[-1:] == [True, True, False, False, False, True]


def test_as_long_as_the_sound_though_the_clip_ends(tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "clip.mp4", 20)  # 10 a second
    frames = map_frames(tmp_path, encode(noise(2.5), 1.0, 0.0), tmp_path / "clip.mp4", start=1.0)
    assert [time for time, _ in frames] == pytest.approx([i / 10 for i in range(25)], abs=1e-3)
    with av.open(str(tmp_path / "map.mp4")) as made:
        (stream,) = made.streams
        assert float(stream.duration * stream.time_base) == pytest.approx(2.5, abs=1e-3)
    corner = [frame[-1, 300].mean() for _, frame in frames]
    assert (np.diff(corner[:10]) > 0).all()
    assert np.ptp(corner[10:]) < 3


def test_high_frame_rates_are_halved(tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "clip.mp4", 12, rate=50)
    frames = map_frames(tmp_path, encode(noise(0.2), 1.0, 0.0), tmp_path / "clip.mp4")
    assert [time for time, _ in frames] == pytest.approx([i / 25 for i in range(5)], abs=1e-3)


def test_loudness_is_forgotten_at_6_db_a_second() -> None:
    around = loudness_around(np.array([0, 0, 0, 1.0, 0, 0, 0.5, 0]), rate=1)
    np.testing.assert_allclose(10 * np.log10(around), [-18, -12, -6, 0, -6, -9.01, -3.01, -9.01], atol=0.01)


def test_refused_and_cancelled(tmp_path: Path, grey: Path) -> None:
    soundfile.write(tmp_path / "foa.wav", encode(noise(1), 0, 0).T, RATE)
    request = DirectionMapVideoRequest(sound=tmp_path / "foa.wav", clip=grey, output=tmp_path / "map.mov")
    with pytest.raises(UserError) as caught:
        write_direction_map_video(request, quiet)
    assert caught.value.code is ExitCode.NOT_WRITABLE

    def cancel(report: Report) -> None:
        if report.stage == "draw" and report.fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_direction_map_video(request.model_copy(update={"output": tmp_path / "map.mp4"}), cancel)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["foa.wav", "grey.png"]
