"""Which way a camera looks, as ambisonics says it. Plain mathematics; knows no bpy.

A camera of Blender looks along its own −Z, its top is +Y; AmbiX has X in front, Y on the left, Z up. For a camera
that is neither scaled nor mirrored, with the rotation R from its axes to the world's, what is said here is the
rotation R·[[0, −1, 0], [0, 0, 1], [−1, 0, 0]]: from directions in the camera's panorama to directions in the world,
whose X is in front.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .errors import UserError

Vector = tuple[float, float, float]
Rows = Sequence[Sequence[float]]
"""A 3 × 3 matrix, row by row."""

FLAT = 1e-6
"""What counts as nothing, of a camera's axis that is 1 long."""


class Orientation(NamedTuple):
    """A unit quaternion that turns the camera's sound into the world's, both in AmbiX axes, from `seconds` on."""

    seconds: float
    w: float
    x: float
    y: float
    z: float


def orientation(seconds: float, camera: Rows, before: Orientation | None = None) -> Orientation:
    """How a camera lies whose axes are the columns of `camera` in the world, as Blender's `matrix_world` has them.

    Scale and shear do not count. Of the two quaternions that say the same, the one nearer to `before`. Raises
    UserError for a camera that no rotation describes: mirrored, or without extent.
    """
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
    """The same course in a world whose front is where the first one looks, and whose top is the old one: a camera that
    stands still and level turns nothing. Where it looks straight up or down, its top tells its heading."""
    if not course:
        return ()
    _, w, x, y, z = course[0]
    ahead = (w * w + x * x - y * y - z * z, 2 * (x * y + w * z))
    if math.hypot(*ahead) < FLAT:
        side = -1.0 if x * z > w * y else 1.0  # looks up: its top is behind
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
    """The quaternion of the rotation with these columns.

    By its largest component, so that nothing is divided by a small number: S. W. Shepperd, "Quaternion from rotation
    matrix", Journal of Guidance and Control 1 (1978).
    """
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
