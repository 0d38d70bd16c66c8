"""A camera's orientation in AmbiX axes. Plain mathematics; does not import bpy.

Blender's camera looks along its own −Z with +Y up; AmbiX has X front, Y left, Z up. For a camera that is neither scaled
nor mirrored, with the rotation R from its axes to the world's, the orientation is
R·[[0, −1, 0], [0, 0, 1], [−1, 0, 0]]: it rotates directions in the camera's panorama to directions in the world.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .errors import UserError

Vector = tuple[float, float, float]
Rows = Sequence[Sequence[float]]
"""A 3 × 3 matrix, row by row."""

FLAT = 1e-6
"""Lengths up to this count as zero; a camera's axis has length 1."""


class Orientation(NamedTuple):
    """A unit quaternion that rotates the camera's sound to the world's, both in AmbiX axes, from `seconds` on."""

    seconds: float
    w: float
    x: float
    y: float
    z: float


def orientation(seconds: float, camera: Rows, before: Orientation | None = None) -> Orientation:
    """The orientation of a camera whose axes are the columns of `camera`, as in Blender's `matrix_world`.

    Ignores scale and shear. Of the two equivalent quaternions it returns the one nearer to `before`. Raises UserError
    if the camera is mirrored or scaled to zero."""
    right, up, back = ((camera[0][i], camera[1][i], camera[2][i]) for i in range(3))
    front = _unit((-back[0], -back[1], -back[2]))
    across = sum(a * b for a, b in zip(_unit(up), front, strict=True))
    top = _unit(tuple(a - across * b for a, b in zip(_unit(up), front, strict=True)))  # type: ignore[arg-type]
    left = _cross(top, front)
    if sum(a * b for a, b in zip(left, right, strict=True)) > 0:
        raise UserError("The camera is mirrored by a negative scale; apply its scale (Ctrl A), then try again.")
    w, x, y, z = _quaternion(front, left, top)
    if before is not None and w * before.w + x * before.x + y * before.y + z * before.z < 0:
        w, x, y, z = -w, -x, -y, -z
    return Orientation(seconds, w, x, y, z)


def from_first_heading(course: Sequence[Orientation]) -> tuple[Orientation, ...]:
    """The same orientations in a world whose front is the first one's heading and whose Z stays up, so that a camera
    that stands still and level has the identity. If it looks straight up or down, its top gives the heading."""
    if not course:
        return ()
    _, w, x, y, z = course[0]
    ahead = (w * w + x * x - y * y - z * z, 2 * (x * y + w * z))
    if math.hypot(*ahead) < FLAT:
        side = -1.0 if x * z > w * y else 1.0  # looks up: its top points backwards
        ahead = (side * 2 * (x * z + w * y), side * 2 * (y * z - w * x))
    half = math.atan2(ahead[1], ahead[0]) / 2
    c, s = math.cos(half), math.sin(half)
    return tuple(Orientation(t, c * w + s * z, c * x + s * y, c * y - s * x, c * z - s * w) for t, w, x, y, z in course)


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    if not length > FLAT:
        raise UserError("The camera is scaled to nothing; give it a scale of 1 (Alt S), then try again.")
    return vector[0] / length, vector[1] / length, vector[2] / length


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _quaternion(x_axis: Vector, y_axis: Vector, z_axis: Vector) -> tuple[float, float, float, float]:
    """The quaternion of the rotation with these columns, computed from its largest component to avoid small divisors:
    S. W. Shepperd, "Quaternion from rotation matrix", Journal of Guidance and Control 1 (1978)."""
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = x_axis, y_axis, z_axis
    four_squares = (1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz)
    products = (
        (four_squares[0], zy - yz, xz - zx, yx - xy),
        (zy - yz, four_squares[1], yx + xy, xz + zx),
        (xz - zx, yx + xy, four_squares[2], zy + yz),
        (yx - xy, xz + zx, zy + yz, four_squares[3]),
    )
    row = max(zip(four_squares, products, strict=True))[1]
    length = math.hypot(*row)
    return row[0] / length, row[1] / length, row[2] / length, row[3] / length
