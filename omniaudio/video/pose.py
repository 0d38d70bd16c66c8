"""Rotating stored frames as players show them: by the display matrix, and by the pose of the sphere.

Sources: ISO/IEC 14496-12 for the display matrix; Google, "Spherical Video V2 RFC", for the pose of videos, and "Photo
Sphere XMP Metadata" for that of photographs.
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
"""How far the entries of a normalized display matrix may be from 0 and ±1. Others are unusable: a panorama rotated by
less than a quarter rotation is no longer a panorama."""
_MIN_POSE = 0.01
"""Degrees; a smaller rotation is not worth resampling."""

_graph_lock = Lock()


class Upright(NamedTuple):
    """How a stored frame becomes upright: mirrored first, then rotated."""

    rotation: int = 0
    """Degrees counter-clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Left and right are exchanged."""

    def __call__(self, stored: Rgb) -> Rgb:
        return np.rot90(stored[:, ::-1] if self.mirrored else stored, self.rotation // 90)


def read_display_matrix(numbers: tuple[int, ...]) -> Upright | None:
    """Read a display matrix from FFmpeg's nine numbers; None if it does not rotate by whole quarter turns.

    GoPro cameras write zeros, which gives None; players show such frames as stored."""
    a, b, _, c, d = numbers[:5]
    # The position (x, y) in the stored frame, y downwards, moves to (ax + cy, bx + dy).
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
    """The rotation of the sphere after the frame is mapped onto it, in degrees: the frame's centre is shown at azimuth
    `yaw` and elevation `pitch`; `roll` lifts its left side."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def matrix(self) -> Floats:
        """The rotation `(3, 3)` from directions in the stored frame to directions as shown."""
        return rotation_matrix(*np.radians(self))


def read_pose(yaw: float, pitch: float, roll: float) -> Pose | None:
    """Convert a pose of the "Spherical Video V2 RFC", in degrees; None if there is no rotation.

    The RFC's rotations are counter-clockwise around the axes up and right, and clockwise around forward. These are
    positive around the axes right, up and backward of its right-handed coordinates, as in FFmpeg's formula, so a
    positive roll lifts the right side."""
    pose = Pose(yaw, pitch, 0.0 - roll)
    return pose if max(map(abs, pose)) >= _MIN_POSE else None


def read_gpano_pose(pitch: float | None, roll: float | None) -> Pose | None:
    """Convert the pose of a photograph: the camera's pitch, and its roll, which rotates the horizon counter-clockwise
    in the image. The heading only says where north is; players do not rotate by it. None if there is no rotation."""
    pose = Pose(0.0, pitch or 0.0, roll or 0.0)
    return pose if max(map(abs, pose)) >= _MIN_POSE else None


def posed(image: Rgb, pose: Pose | None, layout: str = "mono") -> Rgb:
    """Rotate a panorama `(height, width, 3)` by a pose, each eye separately; without a pose, return the image itself.

    Args:
        image: the whole image, of one eye or both.
        pose: the rotation of the sphere.
        layout: the stereo layout: `mono`, `top-bottom` or `side-by-side`.
    """
    if pose is None:
        return image
    height, width = image.shape[:2]
    graph = _rotation_graph(height, width, pose, {"top-bottom": "tb", "side-by-side": "sbs"}.get(layout, "2d"))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame.pts = 0
    with _graph_lock:
        graph.push(frame)
        rotated = graph.pull()
    assert isinstance(rotated, av.VideoFrame)
    return np.asarray(rotated.to_ndarray(format="rgb24"), np.uint8)


@lru_cache(maxsize=1)
def _rotation_graph(height: int, width: int, pose: Pose, layout: str) -> av.filter.Graph:
    """FFmpeg's filter for images of one size; cached, since a clip's frames share it."""
    # The filter's angles are those of a camera: to the right, up, left side lifted. Its output rotates by the inverse.
    inverse = pose.matrix.T
    yaw, pitch = np.arctan2(inverse[1, 0], inverse[0, 0]), np.arcsin(np.clip(inverse[2, 0], -1, 1))
    roll = np.arctan2(inverse[2, 1], inverse[2, 2])
    yaw, pitch, roll = np.degrees([-yaw, pitch, roll])
    angles = f"yaw={yaw:.6f}:pitch={pitch:.6f}:roll={roll:.6f}"
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=Fraction(1))
    rotation = graph.add("v360", f"e:e:{angles}:interp=cubic:in_stereo={layout}:out_stereo={layout}")
    sink = graph.add("buffersink")
    source.link_to(rotation)
    rotation.link_to(sink)
    graph.configure()
    return graph
