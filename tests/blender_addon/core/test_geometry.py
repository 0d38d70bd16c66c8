"""A camera's orientation against rotations worked out another way."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from blender_addon.core.errors import UserError
from blender_addon.core.geometry import Orientation, from_first_heading, orientation

Matrix = NDArray[np.float64]

FROM_AMBIX = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
"""From directions in AmbiX's axes to a camera's own: it looks along −Z, its top is +Y."""

quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: math.hypot(*q) > 0.1)
scales = st.lists(st.floats(0.01, 100), min_size=3, max_size=3)


def rotation_of(found: Orientation) -> Matrix:
    return np.asarray(Rotation.from_quat([found.x, found.y, found.z, found.w]).as_matrix())


@given(quaternions, scales)
def test_it_rotates_the_sound_as_the_camera_is_rotated(rotation: list[float], scale: list[float]) -> None:
    camera = np.asarray(Rotation.from_quat(rotation).as_matrix())
    found = orientation(1.5, camera * scale)
    assert found.seconds == 1.5
    assert math.hypot(*found[1:]) == pytest.approx(1.0, abs=1e-12)
    assert np.abs(rotation_of(found) - camera @ FROM_AMBIX).max() < 1e-9


@pytest.mark.parametrize(
    ("euler", "front", "left", "top"),
    [
        ((0, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 1, 0)),  # as Blender adds it: it looks down
        ((90, 0, 0), (0, 1, 0), (-1, 0, 0), (0, 0, 1)),
        ((90, 0, -90), (1, 0, 0), (0, 1, 0), (0, 0, 1)),  # the world's own X, Y and Z: nothing is turned
        ((90, 0, 90), (-1, 0, 0), (0, -1, 0), (0, 0, 1)),
        ((90, 90, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)),  # rolled to its right
        ((180, 0, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0)),  # looks up
    ],
)
def test_front_left_and_top_of_cameras_that_can_be_checked_by_hand(
    euler: tuple[float, ...], front: tuple[float, ...], left: tuple[float, ...], top: tuple[float, ...]
) -> None:
    camera = Rotation.from_euler("xyz", euler, degrees=True).as_matrix()
    columns = rotation_of(orientation(0.0, camera)).T
    assert np.abs(columns - np.array([front, left, top])).max() < 1e-12


@given(quaternions, quaternions)
def test_neighbours_are_on_the_same_side(a: list[float], b: list[float]) -> None:
    """So that what lies between them is the short way round: never more than half a turn."""
    ends = Rotation.from_quat([a, b])
    between = Slerp([0, 1], ends)(np.linspace(0, 1, 20))
    before: list[Orientation] = []
    for rotation in between.as_matrix():
        before.append(orientation(0.0, rotation, *before[-1:]))
    for one, other in pairwise(before):
        assert sum(p * q for p, q in zip(one[1:], other[1:], strict=True)) > 0


@given(quaternions, st.floats(-0.5, 0.5))
def test_shear_does_not_rotate_the_front(rotation: list[float], shear: float) -> None:
    camera = np.asarray(Rotation.from_quat(rotation).as_matrix())
    sheared = camera @ np.array([[1, 0, 0], [0, 1, 0], [shear, shear, 1]])
    columns = rotation_of(orientation(0.0, sheared)).T
    assert np.abs(columns[0] + camera[:, 2]).max() < 1e-9
    assert np.abs(columns @ columns.T - np.eye(3)).max() < 1e-9


@given(quaternions, st.integers(0, 2))
def test_a_mirrored_camera_is_refused(rotation: list[float], axis: int) -> None:
    camera = np.asarray(Rotation.from_quat(rotation).as_matrix())
    camera[:, axis] *= -1
    with pytest.raises(UserError, match="mirrored"):
        orientation(0.0, camera)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_camera_without_extent_is_refused(axis: int) -> None:
    camera = np.eye(3)
    camera[:, axis] = 0
    with pytest.raises(UserError, match="scaled to nothing"):
        orientation(0.0, camera)


@given(st.lists(st.floats(-10, 10), min_size=9, max_size=9))
def test_any_matrix_gives_a_rotation_or_a_message(numbers: list[float]) -> None:
    matrix = np.array(numbers).reshape(3, 3)
    try:
        found = orientation(0.0, matrix)
    except UserError:
        return
    assume(abs(np.linalg.det(matrix)) > 1e-3)
    assert np.linalg.det(matrix) > 0
    assert np.linalg.det(rotation_of(found)) == pytest.approx(1.0, abs=1e-9)


@given(quaternions, quaternions)
def test_the_world_s_front_is_where_the_camera_looks_first(first: list[float], second: list[float]) -> None:
    """Only about the world's Z: level stays level, and the way from one orientation to the other is the same."""
    course = [orientation(0.0, Rotation.from_quat(rotation).as_matrix()) for rotation in (first, second)]
    found = from_first_heading(course)
    ahead = rotation_of(found[0])[:, 0]
    assume(math.hypot(ahead[0], ahead[1]) > 1e-3)
    assert abs(math.atan2(ahead[1], ahead[0])) < 1e-6
    changes = [rotation_of(new) @ rotation_of(old).T for new, old in zip(found, course, strict=True)]
    assert np.abs(changes[0] - changes[1]).max() < 1e-9
    assert np.abs(changes[0] @ [0, 0, 1] - [0, 0, 1]).max() < 1e-9


@pytest.mark.parametrize("rotation", [0, 30, -90, 180])
@pytest.mark.parametrize(("tilt", "top"), [(90, (0, 0, 1)), (0, (1, 0, 0)), (180, (-1, 0, 0))])
def test_a_still_camera_that_is_level_or_looks_straight_down_or_up(
    rotation: float, tilt: float, top: tuple[float, ...]
) -> None:
    camera = Rotation.from_euler("xyz", (tilt, 0, rotation), degrees=True).as_matrix()
    (found,) = from_first_heading([orientation(0.0, camera)])
    assert np.abs(rotation_of(found)[:, 2] - top).max() < 1e-6
    if tilt == 90:
        assert found[1:] == pytest.approx((1, 0, 0, 0)) or found[1:] == pytest.approx((-1, 0, 0, 0))


def test_no_course_stays_none() -> None:
    assert from_first_heading([]) == ()
