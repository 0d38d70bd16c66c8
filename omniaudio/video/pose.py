"""How a stored picture is turned to be the one that players show: the display matrix of flat pictures, and the pose of
the sphere.

Sources: ISO/IEC 14496-12 for the display matrix; Google, "Spherical Video V2 RFC", for the pose in videos, and "Photo
Sphere XMP Metadata" for the one in photographs.
"""

from fractions import Fraction
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import av
import av.filter
import numpy as np

from omniaudio.audio.ambisonics import Floats, rotation_matrix
from omniaudio.video.panorama import Rgb

_MATRIX_TOLERANCE = 0.1
"""How far the parts of a normalized display matrix may be from 0 and ±1. Others are taken for unusable: a picture that
is turned by less than a quarter is no panorama any more."""
_MIN_POSE = 0.01
"""Degrees; less is not worth resampling the picture."""

_turning = Lock()


class Upright(NamedTuple):
    """How a stored picture becomes upright: mirrored first, then turned."""

    rotation: int = 0
    """Degrees counter-clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Left and right are exchanged."""

    def __call__(self, stored: Rgb) -> Rgb:
        return np.rot90(stored[:, ::-1] if self.mirrored else stored, self.rotation // 90)


def read_display_matrix(numbers: tuple[int, ...]) -> Upright | None:
    """What a display matrix says, given as FFmpeg's nine numbers; None where it turns by no whole quarters.

    All zero, as GoPro's cameras write it, is such a one; players show these pictures as they are stored."""
    a, b, _, c, d = numbers[:5]
    # The place (x, y) in the stored picture, y downwards, goes to (ax + cy, bx + dy).
    matrix = np.array([[a, c], [b, d]], float)
    lengths = np.linalg.norm(matrix, axis=0)
    if not lengths.all():
        return None
    matrix /= lengths
    if np.abs(matrix - np.rint(matrix)).max() > _MATRIX_TOLERANCE:
        return None
    (p, q), (r, s) = np.rint(matrix).astype(int)
    if abs(p * s - q * r) != 1:
        return None
    mirrored = p * s - q * r < 0
    if mirrored:
        p = -p
    quarters = {(1, 0): 0, (0, 1): 1, (-1, 0): 2, (0, -1): 3}[(int(p), int(q))]
    return Upright(90 * quarters, bool(mirrored))


class Pose(NamedTuple):
    """How the sphere is turned after the picture is mapped onto it, in degrees: what lies at the picture's centre is
    shown at azimuth `yaw` and elevation `pitch`; `roll` lifts its left side."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def matrix(self) -> Floats:
        """The rotation `(3, 3)` from directions in the stored picture to directions as shown."""
        return rotation_matrix(*np.radians(self))


def read_pose(yaw: float, pitch: float, roll: float) -> Pose | None:
    """The pose of the "Spherical Video V2 RFC", in degrees; None where nothing is turned.

    The RFC's rotations are counter-clockwise around the axes up and right, and clockwise around forward. These are the
    positive ones around the axes right, up and backward of its right-handed coordinates, as FFmpeg's formula has them,
    too; so a positive roll lifts the right side."""
    pose = Pose(yaw, pitch, 0.0 - roll)
    return pose if max(map(abs, pose)) >= _MIN_POSE else None


def read_gpano_pose(pitch: float | None, roll: float | None) -> Pose | None:
    """The pose of a photograph: the camera's pitch and its roll, under which the horizon turns counter-clockwise in the
    picture. The heading says where north is; players do not turn by it."""
    pose = Pose(0.0, pitch or 0.0, roll or 0.0)
    return pose if max(map(abs, pose)) >= _MIN_POSE else None


def posed(picture: Rgb, pose: Pose | None, layout: str = "mono") -> Rgb:
    """A panorama `(height, width, 3)` turned by a pose, each eye by itself; the picture itself where there is none.

    Args:
        picture: the whole picture, of one eye or both.
        pose: how the sphere is turned.
        layout: which eye is where: `mono`, `top-bottom` or `side-by-side`.
    """
    if pose is None:
        return picture
    height, width = picture.shape[:2]
    graph = _turner(height, width, pose, {"top-bottom": "tb", "side-by-side": "sbs"}.get(layout, "2d"))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame.pts = 0
    with _turning:
        graph.push(frame)
        turned = graph.pull()
    assert isinstance(turned, av.VideoFrame)
    return np.asarray(turned.to_ndarray(format="rgb24"), np.uint8)


@lru_cache(maxsize=1)
def _turner(height: int, width: int, pose: Pose, layout: str) -> av.filter.Graph:
    """FFmpeg's filter for pictures of a size; a clip's pictures share it."""
    # The filter looks in a direction: to the right, up, left side lifted. What it shows is turned by the inverse.
    inverse = pose.matrix.T
    yaw, pitch = np.arctan2(inverse[1, 0], inverse[0, 0]), np.arcsin(np.clip(inverse[2, 0], -1, 1))
    roll = np.arctan2(inverse[2, 1], inverse[2, 2])
    yaw, pitch, roll = np.degrees([-yaw, pitch, roll])
    angles = f"yaw={yaw:.6f}:pitch={pitch:.6f}:roll={roll:.6f}"
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=Fraction(1))
    turn = graph.add("v360", f"e:e:{angles}:interp=cubic:in_stereo={layout}:out_stereo={layout}")
    sink = graph.add("buffersink")
    source.link_to(turn)
    turn.link_to(sink)
    graph.configure()
    return graph
