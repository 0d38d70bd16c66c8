"""Rotating frames as players show them: display matrices of every kind, and poses of the sphere."""

from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from omniaudio.audio.ambisonics import angles, panorama_directions, unit_vector
from omniaudio.video.panorama import Rgb
from omniaudio.video.pose import Pose, Upright, posed, read_display_matrix, read_gpano_pose, read_pose

ONE = 1 << 16
UNIT = 1 << 30


def matrix(a: float, b: float, c: float, d: float) -> tuple[int, ...]:
    return (round(a * ONE), round(b * ONE), 0, round(c * ONE), round(d * ONE), 0, 0, 0, UNIT)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_quarters_are_read_as_ffmpeg_reads_them(angle: int) -> None:
    """The matrix that PyAV writes for an angle, counter-clockwise."""
    angle_back = radians(-angle)  # FFmpeg's matrices rotate clockwise by the angle that its functions take.
    numbers = matrix(cos(angle_back), sin(angle_back), -sin(angle_back), cos(angle_back))
    assert read_display_matrix(numbers) == Upright(angle)


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        (matrix(-1, 0, 0, 1), [[2, 1], [4, 3]]),  # left and right exchanged: a phone's front camera
        (matrix(1, 0, 0, -1), [[3, 4], [1, 2]]),  # upside down in a mirror
        (matrix(0, 1, 1, 0), [[1, 3], [2, 4]]),
        (matrix(0, -1, -1, 0), [[4, 2], [3, 1]]),
        (matrix(0, 1, -1, 0), [[3, 1], [4, 2]]),  # a quarter clockwise: a phone held upright
        (matrix(2, 0, 0, 2), [[1, 2], [3, 4]]),
        (matrix(0.999, 0.04, -0.04, 0.999), [[1, 2], [3, 4]]),
    ],
)
def test_mirrored_and_rotated_frames(numbers: tuple[int, ...], wanted: list[list[int]]) -> None:
    upright = read_display_matrix(numbers)
    assert upright is not None
    assert upright(np.array([[1, 2], [3, 4]], np.uint8)).tolist() == wanted


@pytest.mark.parametrize(
    "numbers",
    [(0,) * 9, matrix(0.7, 0.7, -0.7, 0.7), matrix(1, 0, 1, 0), matrix(1, 0, 0, 0), (-(2**31),) * 9],
)
def test_matrices_that_rotate_by_no_quarter_are_unusable(numbers: tuple[int, ...]) -> None:
    assert read_display_matrix(numbers) is None


@given(st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 9))
def test_any_matrix_is_read(numbers: tuple[int, ...]) -> None:
    read_display_matrix(numbers)


def marked(azimuth: float, elevation: float, height: int = 128) -> Rgb:
    """A panorama with a soft bright spot in a direction, in degrees."""
    towards = unit_vector(np.radians(azimuth), np.radians(elevation))
    near = panorama_directions(height, 2 * height) @ towards
    spot = 255 * np.exp((near - 1) * 200)
    return np.repeat(spot[..., None], 3, axis=-1).round().astype(np.uint8)


def spot(image: Rgb) -> tuple[float, float]:
    """Where the spot is, in degrees."""
    light = image[..., 0].astype(float) * np.cos(np.linspace(np.pi / 2, -np.pi / 2, len(image)))[:, None]
    mean = np.einsum("hw,hwc->c", light, panorama_directions(*image.shape[:2]))
    azimuth, elevation = np.degrees(angles(mean))
    return float(azimuth), float(elevation)


def test_the_rfcs_angles() -> None:
    """Yaw takes what is in front to the left, pitch lifts it, roll rotates what is above it to the left."""
    yaw, pitch, roll = read_pose(90, 0, 0), read_pose(0, 40, 0), read_pose(0, 0, 90)
    assert_allclose(spot(posed(marked(0, 0), yaw)), (90, 0), atol=1)
    assert_allclose(spot(posed(marked(0, 0), pitch)), (0, 40), atol=1)
    assert_allclose(spot(posed(marked(0, 40), roll)), (40, 0), atol=1)


def test_a_photographs_angles() -> None:
    """The camera looked up: its centre is above the horizon. It leaned to its right: what is right is below."""
    assert_allclose(spot(posed(marked(0, 0), read_gpano_pose(30, None))), (0, 30), atol=1)
    assert_allclose(spot(posed(marked(-90, 0), read_gpano_pose(None, 20))), (-90, -20), atol=1)


@settings(deadline=None, max_examples=25)
@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_a_pose_is_its_matrix(azimuth: float, elevation: float, yaw: float, pitch: float, roll: float) -> None:
    pose = Pose(yaw, pitch, roll)
    wanted = pose.matrix @ unit_vector(np.radians(azimuth), np.radians(elevation))
    got = unit_vector(*np.radians(spot(posed(marked(azimuth, elevation), pose))))
    assert np.degrees(np.arccos(np.clip(wanted @ got, -1, 1))) < 2


@pytest.mark.parametrize(("layout", "axis"), [("top-bottom", 0), ("side-by-side", 1)])
def test_each_eye_is_rotated_separately(layout: str, axis: int) -> None:
    left, right = marked(0, 0), marked(20, 10)
    pose = Pose(30, 20, 10)
    both = posed(np.concatenate([left, right], axis), pose, layout)
    for got, eye in zip(np.split(both, 2, axis), (left, right), strict=True):
        assert_allclose(spot(got), spot(posed(eye, pose)), atol=0.5)


def test_without_a_pose_nothing_is_resampled() -> None:
    image = marked(10, 10)
    assert posed(image, None) is image
    assert read_pose(0, 0, 0) is None
    assert read_gpano_pose(0, 0) is None
    assert read_gpano_pose(None, None) is None
