"""The binaural preview, by the cues that a listener uses: level and time between the ears, and sync with the frames."""

from math import pi
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, correlate, correlation_lags, sosfilt

from omniaudio.audio.ambisonics import encode, rotate, rotation_matrix
from omniaudio.audio.binaural import BinauralRenderer, BinauralRequest, binaural, write_binaural
from omniaudio.errors import ExitCode, UserError
from omniaudio.progress import Report

RATES = [16000, 44100, 48000, 96000]


def noise(samples: int = 48000, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(samples)


def level_difference(ears: NDArray[np.float32]) -> float:
    """Left over right in dB."""
    left, right = np.mean(np.square(ears, dtype=np.float64), axis=1)
    return float(10 * np.log10(left / right))


def lead_of_left(ears: NDArray[np.float32], rate: int) -> float:
    """Seconds by which the left ear hears first, below 1.5 kHz, where ears compare times."""
    left, right = sosfilt(butter(4, 1500, fs=rate, output="sos"), ears, axis=1)
    lags = correlation_lags(len(left), len(right))
    return float(lags[np.argmax(correlate(right, left))] / rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("azimuth", [pi / 6, pi / 2, 5 * pi / 6])
def test_a_source_at_the_left_is_louder_and_earlier_in_the_left_ear(rate: int, azimuth: float) -> None:
    left = binaural(encode(noise(rate), azimuth, 0), rate)
    assert 2 < level_difference(left) < 20
    assert 0.0001 < lead_of_left(left, rate) < 0.0009
    right = binaural(encode(noise(rate), -azimuth, 0), rate)
    np.testing.assert_array_equal(left, right[::-1])


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (pi, 0), (0, pi / 2), (0, -pi / 2)])
def test_both_ears_hear_the_middle_alike(azimuth: float, elevation: float) -> None:
    ears = binaural(encode(noise(), azimuth, elevation), 48000)
    np.testing.assert_allclose(ears[0], ears[1], atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_the_preview_is_in_time_with_its_source(rate: int) -> None:
    click = np.zeros(rate)
    click[rate // 2] = 1
    ears = binaural(encode(click, 0, 0), rate)
    assert ears.shape == (2, rate)
    assert np.abs(ears[0]).argmax() == rate // 2


@pytest.mark.parametrize("rate", RATES)
def test_the_level_does_not_depend_on_the_rate(rate: int) -> None:
    time = np.arange(rate) / rate
    ears = binaural(encode(np.sin(2 * pi * 1000 * time), 0.5, 0), rate)
    expected = binaural(encode(np.sin(2 * pi * 1000 * np.arange(48000) / 48000), 0.5, 0), 48000)
    assert np.std(ears, axis=1) == pytest.approx(np.std(expected, axis=1), rel=0.02)


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 10000])
def test_blocks_of_any_size_give_the_same(size: int) -> None:
    foa = encode(noise(2000 if size < 100 else 20000), 1.0, 0.3)
    renderer = BinauralRenderer(48000)
    blocks = [renderer.process(foa[:, start : start + size]) for start in range(0, foa.shape[1], size)]
    np.testing.assert_allclose(np.hstack([*blocks, renderer.finish()]), binaural(foa, 48000), atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 10, 100])
def test_a_sound_shorter_than_the_filters_keeps_its_length(samples: int) -> None:
    assert binaural(encode(noise(samples), 0, 0), 48000).shape == (2, samples)


def test_rotating_the_head_rotates_the_scene_the_other_way() -> None:
    foa = encode(noise(4800), 0, 0)
    assert level_difference(binaural(foa, 48000, yaw=pi / 2)) < -5  # The head looks left: the front is at its right.
    expected = binaural(rotate(foa, rotation_matrix(-0.7)), 48000)
    np.testing.assert_allclose(binaural(foa, 48000, yaw=0.7), expected, atol=1e-6)


def quiet(report: Report) -> None:
    """Told of every step, and says nothing."""


@pytest.mark.parametrize(
    ("rotated", "azimuth", "elevation"),
    [({"yaw": 60}, 60, 0), ({"pitch": 30}, 0, 30), ({"yaw": -90, "pitch": 20}, -90, 20)],
)
def test_a_head_that_faces_a_source_hears_it_in_front(
    tmp_path: Path, rotated: dict[str, float], azimuth: float, elevation: float
) -> None:
    soundfile.write(tmp_path / "foa.wav", encode(0.05 * noise(), *np.radians([azimuth, elevation])).T, 48000, "FLOAT")
    path = write_binaural(BinauralRequest(sound=tmp_path / "foa.wav", output=tmp_path / "ears.wav", **rotated), quiet)
    heard, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert (rate, heard.shape) == (48000, (48000, 2))
    np.testing.assert_allclose(heard.T, binaural(encode(0.05 * noise(), 0, 0), 48000), atol=1e-6)


def test_a_head_on_its_side_hears_above_what_is_beside_it(tmp_path: Path) -> None:
    """Rolled by 90°, the left ear is on top."""
    soundfile.write(tmp_path / "foa.wav", encode(0.05 * noise(), 0, pi / 2).T, 48000, "FLOAT")
    path = write_binaural(BinauralRequest(sound=tmp_path / "foa.wav", output=tmp_path / "ears.wav", roll=90), quiet)
    heard = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    np.testing.assert_allclose(heard, binaural(encode(0.05 * noise(), pi / 2, 0), 48000), atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file"),
        (np.zeros((10, 2)), "2 channels"),
        (np.zeros((0, 4)), "no sound"),
        (b"text", "cannot be read"),
        (np.full((10, 4), np.nan), "not a number"),
    ],
)
def test_what_is_no_ambisonic_sound(tmp_path: Path, content: NDArray[np.float64] | bytes | None, message: str) -> None:
    path = tmp_path / "foa.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, content, 48000, "FLOAT")
    with pytest.raises(UserError, match=message) as caught:
        write_binaural(BinauralRequest(sound=path, output=tmp_path / "ears.wav"), quiet)
    assert caught.value.code is ExitCode.NO_INPUT
    assert not (tmp_path / "ears.wav").exists()
