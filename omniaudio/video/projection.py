"""Which projection a picture has, by what is seen in it: the whole sphere, half of it, fisheye circles, or flat.

Pictures are `uint8 (height, width, 3)` RGB of any size; they are judged small, so that noise and compression count
little. `docs/panoramas.md` has the pictures by which the thresholds were chosen, and how many are told wrong.
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
"""How far from 2:1 a panorama may be without being called stretched: cameras round to whole macroblocks; DCI's flat
film (1.90:1) stays outside."""
_STRETCHED = (1.2, 2.7)
"""Between which aspects a picture may be a stretched panorama: 4:3 and 16:9 to 2.25:1 and CinemaScope."""
MIN_HEIGHT = 8
"""Pixels of a panorama."""
_ROWS, _COLUMNS = 128, 256
"""Of a picture when it is judged."""
_PLAIN = 1.5
"""Levels by which a row varies that is more than a bar of one colour."""
_MIN_ROWS = 24
"""Of a picture that is judged without its bars."""
_BLURRED = 3
"""Rows beside bars, into which compression carries them."""
_DARK = 20
"""Levels of what is no black any more."""
_ALIKE = 0.4
"""How different eyes are, over how much they vary. Other halves are as different as they are varied."""
_SQUEEZED_ALIKE = 0.25
"""The same where the shape does not tell of two eyes."""
_MIN_CONTRAST = 4.0
"""Levels by which a picture varies that tells anything."""


def eye_aspect(width: int, height: int, pixel_aspect: Fraction, stereo: Stereo) -> float:
    """Width over height of one eye in square pixels."""
    aspect = width * float(pixel_aspect) / height
    return aspect * {"mono": 1.0, "side-by-side": 0.5, "top-bottom": 2.0}[stereo]


def panorama_size(
    width: int, height: int, pixel_aspect: Fraction, stereo: Stereo, projection: str | None
) -> tuple[int, int]:
    """Width and height of one eye in square pixels. What may be a panorama that was stretched, or both eyes of one that
    were squeezed into the shape of one, becomes twice as wide as high again."""
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
    """Whether a picture of this shape, of one eye or both, may be a panorama's."""
    whole = aspect * {"mono": 1.0, "side-by-side": 2.0, "top-bottom": 0.5}[stereo]
    return _STRETCHED[0] <= whole <= _STRETCHED[1]


# --- The sphere, by its seam and its poles --------------------------------------------------------------------------


class Seen(NamedTuple):
    """What one picture shows."""

    seam: float
    """How alike the fine structures of the left and the right edge are beyond what all columns share, −1 to 1: their
    correlation. 0 where there is none."""
    detail: float
    """How strong these structures are, in levels of 255."""
    gap: float
    """How different the two edges are: 0 equal, 1 like columns far from each other."""
    step: float
    """The difference of the two edges over that of neighbouring columns, where these differ most."""
    poles: tuple[float, float]
    """How much the top and the bottom row vary along themselves: 0 not at all, 1 like the rows in the middle."""
    contrast: float
    """How different columns far from each other are, in levels."""
    symmetry: float
    """How different the outer columns are from their mirror images: 0 equal, 1 like others."""
    roughness: float
    """How different neighbouring columns are: 0 equal, 1 like others, as in noise."""
    circles: int
    """Fisheye circles."""
    halves_alike: bool
    """Whether the left and the right half are two views of the same."""


def look(picture: Rgb) -> Seen:
    """What a picture shows, of one eye, as it would be if it were a panorama: twice as wide as high."""
    small = _small(picture)
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
    unlike, halves_vary = _unlikeness(picture, axis=1)
    return Seen(
        seam=seam,
        detail=detail,
        gap=difference / (distance + 0.5),
        step=difference / (float(np.quantile(steps, 0.95)) + 0.5),
        poles=(float(variation[0]) / (middle + 1), float(variation[-1]) / (middle + 1)),
        contrast=distance,
        symmetry=float(mirrored) / (distance + 0.5),
        roughness=float(np.median(steps)) / (distance + 0.5),
        circles=fisheye_circles(picture),
        halves_alike=unlike < _ALIKE * halves_vary and halves_vary > _MIN_CONTRAST,
    )


def shows_sphere(seen: Seen) -> bool:
    """Whether a picture is surely a sphere: its edges are neighbours, as what is seen at them shows, and the top and
    the bottom row are nearly a point each, but for a logo, a mast or a bar at one of them."""
    neighbours = seen.seam > 0.2 and seen.detail > 0.7 and seen.gap < 0.65 and seen.step < 3
    # Edges that are alike because the picture is symmetric are no more so than what lies beside them.
    one_sided = seen.gap < 0.7 * seen.symmetry and seen.symmetry > 0.2
    sure = seen.seam > 0.6 and seen.gap < 0.4 * seen.symmetry  # A logo may lie over one of the poles.
    points = min(seen.poles) < 0.45 and (max(seen.poles) < 0.8 or sure)
    tells = seen.contrast > _MIN_CONTRAST / 3
    return bool(neighbours and one_sided and points and tells and not _is_something_else(seen))


def shows_no_sphere(seen: Seen) -> bool:
    """Whether a picture is surely none: its edges are as different as others, or neither row is a point. Plain pictures
    and noise tell nothing."""
    if _is_something_else(seen):
        return True
    if seen.contrast < _MIN_CONTRAST or seen.roughness > 0.5:
        return False
    return (seen.gap > 0.65 and seen.step > 1.2) or min(seen.poles) > 0.6


def _is_something_else(seen: Seen) -> bool:
    return bool(seen.circles or seen.halves_alike)


def verdict(pictures: Iterable[Seen], *, surely: bool) -> str | None:
    """The reason why some pictures of a clip show no whole sphere; None where they do.

    Args:
        pictures: what is seen in them; read as far as needed.
        surely: whether they have to show it, or it is enough that they show nothing else.
    """
    spheres: list[Seen] = []
    others: list[Seen] = []
    for seen in pictures:
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
        return "it shows two fisheye frames; stitch it first"
    if circles == 1:
        return "it shows one fisheye frame, which is no whole sphere"
    if sum(seen.gap > 0.65 for seen in others) * 2 >= len(others):
        return "its left and right edges do not meet"
    return "its top and bottom rows are no single points"


def _correlation(picture: Floats) -> tuple[float, float]:
    """How alike the fine vertical structures of the outer columns are, and how strong.

    What a row shares, such as a horizon or a line of text, says nothing of the seam, so its median is taken away first.
    Structures count that are there both with and without that."""
    edges = picture[:, [0, -1]]
    fine = [_fine(edges), _fine(edges - np.median(picture, axis=1, keepdims=True))]
    (left, right) = np.moveaxis(fine[1], 1, 0)
    power = float((left**2).mean() * (right**2).mean()) ** 0.25
    plain = min(float((one**2).mean(axis=(0, 2)).min()) ** 0.5 for one in fine)
    correlation = float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum() + 1e-6))
    return correlation, min(power, plain)


def _fine(columns: Floats) -> Floats:
    """Columns `(rows, columns, 3)` without what is wider than some degrees."""
    reach = 4
    padded = np.pad(columns, ((reach + 1, reach), (0, 0), (0, 0)), mode="edge").cumsum(axis=0)
    fine: Floats = columns - (padded[2 * reach + 1 :] - padded[: -(2 * reach + 1)]) / (2 * reach + 1)
    return fine


def _small(picture: Rgb, rows: int = 128, columns: int = 256) -> Floats:
    return np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BOX), dtype=np.float64)


# --- Circles, and eyes ----------------------------------------------------------------------------------------------


def fisheye_circles(picture: Rgb) -> int:
    """How many circles on black a picture consists of: 1, 2 beside or above each other, or 0 where it is something
    else."""
    light = _small(picture, 128, 256).max(axis=2)
    lit = light > max(_DARK, 0.12 * float(np.quantile(light, 0.99)))
    for rows, columns in ((1, 2), (2, 1), (1, 1)):
        cells = [cell for row in np.split(lit, rows) for cell in np.split(row, columns, axis=1)]
        if all(_is_circle(cell) for cell in cells):
            return len(cells)
    return 0


def _is_circle(lit: npt.NDArray[np.bool_]) -> bool:
    """Whether what is lit fills an ellipse, which may be cut off by the sides, and nothing of the corners around it."""
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


def _unlikeness(picture: Rgb, axis: int) -> tuple[float, float]:
    """How different the two halves of a picture are, above each other (axis 0) or side by side (axis 1), and how much
    they vary, in levels. Eyes that look from two places see near things shifted along the rows."""
    small = _small(picture, 32, 32)
    if axis == 1:
        small = small - small.mean(axis=1, keepdims=True)  # The sky is above in any two pictures.
    first, second = np.split(small, 2, axis=axis)
    varied = np.abs(first - first.mean(axis=(0, 1))).mean()
    different = min(float(np.abs(first - np.roll(second, shift, axis=1)).mean()) for shift in (-1, 0, 1))
    return different, float(varied)


def guessed_stereo(picture: Rgb, pixel_aspect: Fraction) -> Stereo:
    """Which eye is where in a picture that does not say so: above each other or side by side if the halves are alike
    and it has a shape of two panoramas, or of one into which two were squeezed; else mono."""
    height, width = picture.shape[:2]
    if min(height, width) < MIN_HEIGHT or fisheye_circles(picture):
        return "mono"
    aspect = width * float(pixel_aspect) / height
    (above, above_vary), (beside, beside_vary) = _unlikeness(picture, 0), _unlikeness(picture, 1)
    stereo: Stereo = "mono"
    if abs(aspect - 1) < _ASPECT_TOLERANCE:
        stereo = "top-bottom" if above <= _ALIKE * above_vary + 1 else "mono"
    elif abs(aspect / 4 - 1) < _ASPECT_TOLERANCE:
        stereo = "side-by-side" if beside <= _ALIKE * beside_vary + 1 else "mono"
    elif may_be_stretched(aspect, "mono"):
        if above < _SQUEEZED_ALIKE * above_vary and above_vary > _MIN_CONTRAST and above < beside:
            stereo = "top-bottom"
        elif beside < _SQUEEZED_ALIKE * beside_vary and beside_vary > _MIN_CONTRAST:
            # Of half a sphere each eye's own edges do not meet.
            stereo = "side-by-side" if shows_sphere(look(picture[:, : width // 2])) else "mono"
    return stereo
