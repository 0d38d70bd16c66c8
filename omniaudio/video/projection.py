"""Recognising a frame's projection by its content: the whole sphere, half of it, fisheye circles, or flat.

Frames are `uint8 (height, width, 3)` RGB of any size; they are judged small, so that noise and compression matter
little. `docs/panoramas.md` describes the images behind the thresholds, and the error rates.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from omniaudio.video.container import Stereo
from omniaudio.video.panorama import Rgb

Floats = npt.NDArray[np.floating[Any]]

_ASPECT_TOLERANCE = 0.03
"""How far from 2:1 a panorama may be without counting as stretched: cameras round to whole macroblocks; DCI Flat
(1.90:1) stays outside."""
_STRETCHED = (1.2, 2.7)
"""The aspect ratios that a stretched panorama may have: 4:3 and 16:9 to 2.25:1 and CinemaScope."""
MIN_HEIGHT = 8
"""Pixels; the smallest height of a panorama."""
_ROWS, _COLUMNS = 128, 256
"""The size at which a frame is judged."""
_PLAIN = 1.5
"""Levels; a row that varies more is not part of a plain bar."""
_MIN_ROWS = 24
"""The fewest rows that are judged without the bars."""
_BLURRED = 3
"""Rows next to a bar that compression may have smeared."""
_DARK = 20
"""Levels; what is brighter is not black."""
_ALIKE = 0.4
"""The largest difference between two eyes, relative to their variation. Unrelated halves differ as much as they
vary."""
_SQUEEZED_ALIKE = 0.25
"""The same for shapes that do not suggest two eyes."""
_MIN_CONTRAST = 4.0
"""Levels; an image that varies less tells nothing."""


def eye_aspect(width: int, height: int, pixel_aspect: Fraction, stereo: Stereo) -> float:
    """Width over height of one eye in square pixels."""
    aspect = width * float(pixel_aspect) / height
    return aspect * {"mono": 1.0, "side-by-side": 0.5, "top-bottom": 2.0}[stereo]


def panorama_size(
    width: int, height: int, pixel_aspect: Fraction, stereo: Stereo, projection: str | None
) -> tuple[int, int]:
    """Width and height of one eye in square pixels. What may be a stretched panorama, or two eyes squeezed into the
    shape of one, becomes 2:1."""
    aspect = eye_aspect(width, height, pixel_aspect, stereo)
    across = width * float(pixel_aspect)
    if projection in (None, "equirectangular") and not is_2_to_1(aspect) and may_be_stretched(aspect, stereo):
        return max(1, round(across)), max(1, round(across / 2))
    eye_width = across / (2 if stereo == "side-by-side" else 1)
    eye_height = height / (2 if stereo == "top-bottom" else 1)
    return max(1, round(eye_width)), max(1, round(eye_height))


def is_2_to_1(aspect: float) -> bool:
    return abs(aspect / 2 - 1) <= _ASPECT_TOLERANCE


def may_be_stretched(aspect: float, stereo: Stereo) -> bool:
    """Whether a frame of this aspect, of one eye or both, may be a stretched panorama."""
    whole = aspect * {"mono": 1.0, "side-by-side": 2.0, "top-bottom": 0.5}[stereo]
    return _STRETCHED[0] <= whole <= _STRETCHED[1]


# --- The sphere, by its seam and its poles --------------------------------------------------------------------------


class Seen(NamedTuple):
    """Measurements of one frame."""

    seam: float
    """Correlation of the fine structures of the left and right edges beyond what all columns share, −1 to 1; 0 if there
    are none."""
    detail: float
    """Strength of these structures, in levels of 255."""
    gap: float
    """Difference of the two edges: 0 equal, 1 like columns far apart."""
    step: float
    """Difference of the two edges over that of the neighbouring columns that differ most."""
    poles: tuple[float, float]
    """Variation within the top and the bottom row: 0 none, 1 like the rows in the middle."""
    contrast: float
    """Difference of columns far apart, in levels."""
    symmetry: float
    """Difference of the outer columns from their mirror images: 0 equal, 1 like others."""
    roughness: float
    """Difference of neighbouring columns: 0 equal, 1 like any others, as in noise."""
    circles: int
    """Number of fisheye circles."""
    halves_alike: bool
    """Whether the left and the right half are two views of the same scene."""


def look(image: Rgb) -> Seen:
    """Measure a frame of one eye, scaled to 2:1 as a panorama would be."""
    small = _small(image)
    rows = np.flatnonzero(small.std(axis=1).mean(axis=1) > _PLAIN)
    inside = small[rows[0] : rows[-1] + 1] if len(rows) > _MIN_ROWS else small  # without bars of one colour
    inside = inside[_BLURRED:-_BLURRED]
    left, right = inside[:, 0], inside[:, -1]
    seam, detail = _correlation(inside)
    to_others = [np.abs(inside - edge[:, None]).mean(axis=(0, 2)) for edge in (left, right)]
    distance = float(np.mean([np.median(each) for each in to_others]))
    difference = float(np.abs(left - right).mean())
    steps = np.abs(np.diff(inside, axis=1)).mean(axis=(0, 2))
    variation = small.std(axis=1).mean(axis=1)
    middle = float(variation[_ROWS // 4 : -_ROWS // 4].mean())
    width = _COLUMNS // 10
    mirrored = np.abs(inside[:, :width] - inside[:, ::-1][:, :width]).mean()
    unlike, halves_vary = _unlikeness(image, axis=1)
    return Seen(
        seam=seam,
        detail=detail,
        gap=difference / (distance + 0.5),
        step=difference / (float(np.quantile(steps, 0.95)) + 0.5),
        poles=(float(variation[0]) / (middle + 1), float(variation[-1]) / (middle + 1)),
        contrast=distance,
        symmetry=float(mirrored) / (distance + 0.5),
        roughness=float(np.median(steps)) / (distance + 0.5),
        circles=fisheye_circles(image),
        halves_alike=unlike < _ALIKE * halves_vary and halves_vary > _MIN_CONTRAST,
    )


def shows_sphere(seen: Seen) -> bool:
    """Whether a frame certainly shows the sphere: its edges continue each other, and the top and bottom rows are nearly
    single points, except for a logo, a mast or a bar at one of them."""
    neighbours = seen.seam > 0.2 and seen.detail > 0.7 and seen.gap < 0.65 and seen.step < 3
    # In a symmetric image the edges are no more alike than the columns next to them.
    one_sided = seen.gap < 0.7 * seen.symmetry and seen.symmetry > 0.2
    sure = seen.seam > 0.6 and seen.gap < 0.4 * seen.symmetry  # A logo may lie over one of the poles.
    points = min(seen.poles) < 0.45 and (max(seen.poles) < 0.8 or sure)
    tells = seen.contrast > _MIN_CONTRAST / 3
    return bool(neighbours and one_sided and points and tells and not _is_something_else(seen))


def shows_no_sphere(seen: Seen) -> bool:
    """Whether a frame certainly does not show the sphere: its edges differ like any columns, or neither row is a point.
    Plain images and noise tell nothing."""
    if _is_something_else(seen):
        return True
    if seen.contrast < _MIN_CONTRAST or seen.roughness > 0.5:
        return False
    return (seen.gap > 0.65 and seen.step > 1.2) or min(seen.poles) > 0.6


def _is_something_else(seen: Seen) -> bool:
    return bool(seen.circles or seen.halves_alike)


def verdict(frames: Iterable[Seen], *, surely: bool) -> str | None:
    """The reason why frames of a clip do not show the whole sphere; None if they do.

    Args:
        frames: their measurements; read as far as needed.
        surely: require proof of a sphere, rather than only the absence of anything else.
    """
    spheres: list[Seen] = []
    others: list[Seen] = []
    for seen in frames:
        if shows_sphere(seen):
            spheres.append(seen)
            if not surely:
                return None
        elif shows_no_sphere(seen):
            others.append(seen)
    if not others:
        return None if spheres or not surely else "nothing in it shows that it is a sphere"
    if len(spheres) > len(others):
        return None
    return _reason(others)


def _reason(others: Sequence[Seen]) -> str:
    alike = sum(seen.halves_alike for seen in others) * 2 > len(others)
    circles = sorted(seen.circles for seen in others)[len(others) // 2]
    if alike:
        return "it shows half a sphere, once for each eye (VR180)"
    if circles == 2:
        return "it shows two fisheye images; stitch it first"
    if circles == 1:
        return "it shows one fisheye image, which is not the whole sphere"
    if sum(seen.gap > 0.65 for seen in others) * 2 >= len(others):
        return "its left and right edges do not meet"
    return "its top and bottom rows are not single points"


def _correlation(image: Floats) -> tuple[float, float]:
    """The correlation of the fine vertical structures of the outer columns, and their strength.

    What a whole row shares, such as a horizon or a line of text, says nothing about the seam, so its median is
    subtracted. Only structures present both with and without this count."""
    edges = image[:, [0, -1]]
    fine = [_fine(edges), _fine(edges - np.median(image, axis=1, keepdims=True))]
    (left, right) = np.moveaxis(fine[1], 1, 0)
    power = float((left**2).mean() * (right**2).mean()) ** 0.25
    plain = min(float((one**2).mean(axis=(0, 2)).min()) ** 0.5 for one in fine)
    correlation = float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum() + 1e-6))
    return correlation, min(power, plain)


def _fine(columns: Floats) -> Floats:
    """High-pass columns `(rows, columns, 3)`: structures larger than a few degrees are removed."""
    reach = 4
    padded = np.pad(columns, ((reach + 1, reach), (0, 0), (0, 0)), mode="edge").cumsum(axis=0)
    fine: Floats = columns - (padded[2 * reach + 1 :] - padded[: -(2 * reach + 1)]) / (2 * reach + 1)
    return fine


def _small(image: Rgb, rows: int = 128, columns: int = 256) -> Floats:
    return np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BOX), dtype=np.float64)


# --- Circles, and eyes ----------------------------------------------------------------------------------------------


def fisheye_circles(image: Rgb) -> int:
    """The number of circles on black that an image consists of: 1, 2 side by side or stacked, or 0 for anything
    else."""
    light = _small(image, 128, 256).max(axis=2)
    lit = light > max(_DARK, 0.12 * float(np.quantile(light, 0.99)))
    for rows, columns in ((1, 2), (2, 1), (1, 1)):
        cells = [cell for row in np.split(lit, rows) for cell in np.split(row, columns, axis=1)]
        if all(_is_circle(cell) for cell in cells):
            return len(cells)
    return 0


def _is_circle(lit: npt.NDArray[np.bool_]) -> bool:
    """Whether the lit pixels fill an ellipse, which the borders may crop, and none of the corners around it."""
    rows, columns = (np.flatnonzero(lit.mean(axis=axis) > 0.04) for axis in (1, 0))
    height, width = lit.shape
    if rows.size < 0.6 * height or columns.size < 0.4 * width:
        return False
    y = (np.arange(height) - (rows[0] + rows[-1]) / 2) / (rows[-1] - rows[0] + 1) * 2
    x = (np.arange(width) - (columns[0] + columns[-1]) / 2) / (columns[-1] - columns[0] + 1) * 2
    radius = np.hypot(y[:, None], x[None, :])
    diagonal = np.minimum(np.abs(y[:, None]), np.abs(x[None, :])) > 0.4
    for scale in (1.0, 1.1, 1.2):
        corners = radius > 1.06 * scale
        rim = (radius > 0.75 * scale) & (radius < 0.94 * scale) & diagonal
        if lit[corners].mean() < 0.04 and lit[rim].mean() > 0.6 and lit[radius < 0.75].mean() > 0.6:
            return True
    return False


def _unlikeness(image: Rgb, axis: int) -> tuple[float, float]:
    """The difference of an image's two halves, stacked (axis 0) or side by side (axis 1), and their variation, in
    levels. Between two eyes near objects shift along the rows."""
    small = _small(image, 32, 32)
    if axis == 1:
        small = small - small.mean(axis=1, keepdims=True)  # The sky is at the top of any two images.
    first, second = np.split(small, 2, axis=axis)
    varied = np.abs(first - first.mean(axis=(0, 1))).mean()
    different = min(float(np.abs(first - np.roll(second, shift, axis=1)).mean()) for shift in (-1, 0, 1))
    return different, float(varied)


def guessed_stereo(image: Rgb, pixel_aspect: Fraction) -> Stereo:
    """Infer the stereo layout of an undeclared frame: top-bottom or side-by-side if the halves are alike and its shape
    is that of two panoramas, or of one into which two were squeezed; else mono."""
    height, width = image.shape[:2]
    if min(height, width) < MIN_HEIGHT or fisheye_circles(image):
        return "mono"
    aspect = width * float(pixel_aspect) / height
    (above, above_vary), (beside, beside_vary) = _unlikeness(image, 0), _unlikeness(image, 1)
    stereo: Stereo = "mono"
    if abs(aspect - 1) < _ASPECT_TOLERANCE:
        stereo = "top-bottom" if above <= _ALIKE * above_vary + 1 else "mono"
    elif abs(aspect / 4 - 1) < _ASPECT_TOLERANCE:
        stereo = "side-by-side" if beside <= _ALIKE * beside_vary + 1 else "mono"
    elif may_be_stretched(aspect, "mono"):
        if above < _SQUEEZED_ALIKE * above_vary and above_vary > _MIN_CONTRAST and above < beside:
            stereo = "top-bottom"
        elif beside < _SQUEEZED_ALIKE * beside_vary and beside_vary > _MIN_CONTRAST:
            # In VR180 the edges of each eye do not meet.
            stereo = "side-by-side" if shows_sphere(look(image[:, : width // 2])) else "mono"
    return stereo
