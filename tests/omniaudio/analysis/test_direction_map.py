"""The map: its histogram peaks where the sources are, and the image is coloured there."""

from math import pi

import numpy as np
import pytest
from numpy.typing import NDArray

from omniaudio.analysis import direction_map
from omniaudio.analysis.direction_map import COLUMNS, ROWS, DirectionMap, smooth
from omniaudio.audio.ambisonics import Sound, angle_between, encode, panorama_directions, unit_vector
from omniaudio.video.panorama import to_uv

RATE = 16000
GREY = np.full((200, 400, 3), 100, np.uint8)


def noise(seconds: float, seed: int = 0) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def histogram(foa: Sound) -> NDArray[np.float64]:
    """Of whole half seconds, which are counted as they come."""
    collected = DirectionMap(RATE)
    collected.add(foa)
    return smooth(collected.histogram).astype(np.float64)


@pytest.mark.parametrize("azimuth", [0, 1, pi, -pi + 0.01, -2])
@pytest.mark.parametrize("elevation", [0, 0.7, -1.5])
def test_the_map_peaks_at_the_source(azimuth: float, elevation: float) -> None:
    density = histogram(encode(noise(1), azimuth, elevation))
    peak = panorama_directions(ROWS, COLUMNS)[np.unravel_index(density.argmax(), density.shape)]
    assert angle_between(peak, unit_vector(azimuth, elevation)) < np.radians(3)


def test_two_sources_in_other_bands_are_two_peaks() -> None:
    """Their beams of first order would melt into one in the middle."""
    time = np.arange(RATE) / RATE
    low, high = np.sin(2 * pi * 400 * time), np.sin(2 * pi * 3000 * time)
    density = histogram(encode(low, 0.5, 0) + encode(high, -0.5, 0))
    u, v = to_uv(unit_vector([0.5, -0.5, 0], [0, 0, 0]))
    at = density[((1 - v) * ROWS).astype(int).clip(0, ROWS - 1), (u * COLUMNS).astype(int)]
    assert min(at[0], at[1]) > 0.5
    assert at[2] < 0.01


@pytest.mark.parametrize("block", [100, 8000, 12345])
def test_blocks_of_any_size_give_the_same(block: int) -> None:
    foa = encode(noise(1.5), np.linspace(0, 2, round(1.5 * RATE)), 0.1)
    collected = DirectionMap(RATE)
    for start in range(0, foa.shape[1], block):
        collected.add(foa[:, start : start + block])
    np.testing.assert_allclose(smooth(collected.histogram), histogram(foa), atol=1e-9)


def test_smoothing_is_as_wide_everywhere_on_the_sphere() -> None:
    directions = panorama_directions(ROWS, COLUMNS)
    for row in (45, 10, 0):
        single = np.zeros((ROWS, COLUMNS))
        single[row, 3] = 1
        expected = np.exp((directions @ directions[row, 3] - 1) / np.radians(direction_map.SPREAD_DEGREES) ** 2)
        np.testing.assert_allclose(smooth(single), expected, atol=1e-9)


def test_the_map_is_coloured_where_the_sound_is_and_only_there() -> None:
    image = np.asarray(direction_map.draw(GREY, encode(noise(2), pi / 2 + 0.1, 0.3), RATE)).astype(int)
    height = direction_map.WIDTH // 2
    assert image.shape[1] == direction_map.WIDTH
    assert image.shape[0] > height
    colourful = np.ptp(image[:height], axis=2) > 40
    u, v = to_uv(unit_vector(pi / 2 + 0.1, 0.3))
    column, row = int(u * direction_map.WIDTH), int((1 - v) * height)
    assert colourful[row + 25 : row + 45, column - 10 : column + 10].all()
    assert not colourful[:, direction_map.WIDTH // 2 :].any()
    assert colourful.mean() < 0.05


def test_a_source_over_the_seam_is_whole() -> None:
    image = np.asarray(direction_map.draw(GREY, encode(noise(2), pi, 0.3), RATE)).astype(int)
    row = int((0.5 - 0.3 / pi) * direction_map.WIDTH / 2) + 30
    np.testing.assert_allclose(image[row, 2:6], image[row, -6:-2][::-1], atol=12)
    assert np.ptp(image[row, 3]) > 40


@pytest.mark.parametrize("samples", [0, 10, RATE])
def test_silence_leaves_the_panorama_unchanged(samples: int) -> None:
    image = np.asarray(direction_map.draw(GREY, np.zeros((4, samples), np.float32), RATE)).astype(int)
    assert np.ptp(image[: direction_map.WIDTH // 2], axis=2).max() < 10


def test_the_colours_rise_evenly_in_lightness() -> None:
    """CIE lightness of the ramp from 0 to 1: always upwards, no step more than twice the mean one."""
    srgb = direction_map._colour(np.linspace(0, 1, 101)) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 2 * steps.mean()
