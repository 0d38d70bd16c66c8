"""The direction map: an image of where on the panorama a sound comes from.

First-order beams are 90° wide, so a map of their energy shows one source as half the sphere. Instead, each bin in time
and frequency adds its non-diffuse energy, the length of its intensity, in the direction of the intensity: sources that
differ in time or frequency appear separate and sharp (Pulkki, "Spatial Sound Reproduction with Directional Audio
Coding", 2007). The histogram is smoothed by a few degrees on the sphere and drawn in dB below its loudest direction,
with the path of the mean direction.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from omniaudio.audio.ambisonics import (
    CHANNELS,
    Floats,
    Sound,
    angle_between,
    panorama_directions,
    spectral_field,
)
from omniaudio.video.panorama import Rgb, resize, to_uv

ROWS, COLUMNS = 90, 180
"""Cells of the histogram of directions: 2° each."""
SPREAD_DEGREES = 5.0
"""Standard deviation of the smoothing on the sphere."""
RANGE_DB = 15.0
"""The map's range below the loudest direction."""
SEGMENT_SECONDS = 0.5
_SMOOTH_FRAMES = 4

_PATH_POINTS = 24
_MAX_DIFFUSE = 0.95
"""Sections of the path that are more diffuse are not drawn."""

WIDTH = 1600
"""Width of the image in pixels, whatever the panorama's."""
_FINE = 2
"""Lines and text are drawn this many times larger and scaled down, which smooths their edges."""
_FOOTER, _TEXT = 74, 19
_RAMP = ((40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39), (252, 255, 164))
"""Colours from faint to loud with evenly rising lightness, so that they keep their order in greyscale."""
_FAINTEST, _LOUDEST = 0.35, 0.8
"""Opacity of the colours over the panorama."""
_DOTS = "dots: the mean direction over time"
_INK, _FAINT, _PAPER = (238, 238, 240), (160, 160, 168), (20, 20, 24)


class DirectionMap:
    """Collects the directions of a sound block by block, and draws them over a panorama.

    It keeps a histogram of directions and four numbers per half second of sound."""

    def __init__(self, rate: int) -> None:
        """`rate` is the sampling rate in Hz."""
        self.rate = rate
        self.histogram: Floats = np.zeros((ROWS, COLUMNS))
        """Directional energy in the cells of a panorama `(ROWS, COLUMNS)`."""
        self._segments: list[Floats] = []
        self._samples = 0
        self._length = round(SEGMENT_SECONDS * rate)
        self._waiting: Sound = np.zeros((CHANNELS, 0), np.float32)

    def add(self, foa: Sound) -> None:
        """Add the next samples `(4, samples)`."""
        self._waiting = np.concatenate([self._waiting, foa], axis=1)
        whole = self._waiting.shape[1] // self._length * self._length
        for start in range(0, whole, self._length):
            self._count(self._waiting[:, start : start + self._length])
        self._waiting = self._waiting[:, whole:]

    def draw(self, panorama: Rgb, named: Sequence[tuple[str, Floats]] = ()) -> Image.Image:
        """Draw the map over a panorama `uint8 (height, width, 3)`, with graticule, path and legend. Ends the sound.

        `named` are names of sources with their paths, unit vectors `(points, 3)`; they are drawn instead of the mean
        direction."""
        if self._waiting.shape[1]:
            self._count(self._waiting)
            self._waiting = self._waiting[:, :0]
        segments = np.array(self._segments).reshape(-1, 4)
        return _draw(panorama, self.histogram, segments, self._samples / self.rate, named)

    def _count(self, segment: Sound) -> None:
        histogram, sums = directions(segment, self.rate)
        self.histogram += histogram
        self._segments.append(sums)
        self._samples += segment.shape[1]


def draw(panorama: Rgb, foa: Sound, rate: int) -> Image.Image:
    """Draw the direction map of a sound `(4, samples)` at `rate` Hz over a panorama `uint8 (height, width, 3)`."""
    collected = DirectionMap(rate)
    collected.add(foa)
    return collected.draw(panorama)


def directions(segment: Sound, rate: int) -> tuple[Floats, Floats]:
    """Measure where a short sound `(4, samples)` comes from.

    Returns:
        The directional energy in the cells of a panorama `(ROWS, COLUMNS)`, and the sums `(4,)` of intensity (x, y, z)
        and energy.
    """
    field = spectral_field(segment, rate, smooth=_SMOOTH_FRAMES)
    flow = field.intensity.reshape(-1, 3)
    u, v = to_uv(flow)
    column = np.clip((u * COLUMNS).astype(int), 0, COLUMNS - 1)
    row = np.clip(((1 - v) * ROWS).astype(int), 0, ROWS - 1)
    cells = np.bincount(row * COLUMNS + column, np.linalg.norm(flow, axis=1), ROWS * COLUMNS).astype(np.float64)
    return cells.reshape(ROWS, COLUMNS), np.append(flow.sum(axis=0), field.energy.sum())


def density(histogram: Floats) -> Floats:
    """Smooth energy in the cells of a panorama `(ROWS, COLUMNS)` to its density within a few degrees on the sphere."""
    spectrum = np.fft.rfft(histogram, axis=1)
    return np.fft.irfft(np.einsum("ijk,jk->ik", _kernel(), spectrum), COLUMNS, axis=1).clip(min=0)


def smooth(histogram: Floats) -> Floats:
    """The density relative to its largest value."""
    dense = density(histogram)
    return np.asarray(dense / dense.max()) if dense.max() > 0 else dense


def stepped_back(panorama: Rgb, height: int) -> npt.NDArray[np.float32]:
    """Resize a panorama to `(height, 2·height, 3)`, 0 to 255, darker and half desaturated, so that colour means
    sound."""
    own, others = 0.4, 0.1
    mix = (own, others, others, 0, others, own, others, 0, others, others, own, 0)
    dark = Image.fromarray(resize(panorama, height, 2 * height)).convert("RGB", mix)
    return np.asarray(dark).astype(np.float32)


def paint(image: npt.NDArray[np.float32], relative: Floats) -> None:
    """Colour an image `(height, 2·height, 3)` in place by the density relative to the loudest `(ROWS, COLUMNS)`."""
    fine = _enlarge(relative, image.shape[0])
    seen = fine > 10 ** (-RANGE_DB / 10)
    share = np.clip(1 + 10 * np.log10(fine[seen]) / RANGE_DB, 0, 1)
    opacity = (_FAINTEST * np.clip(6 * share, 0, 1) + (_LOUDEST - _FAINTEST) * share)[:, None]
    image[seen] += opacity * (_colour(share) - image[seen])


@cache
def _kernel() -> npt.NDArray[np.complex128]:
    """For each pair of rows, the spectrum over the columns of a Gaussian bell on the sphere (von Mises-Fisher)."""
    cells = panorama_directions(ROWS, COLUMNS)
    cosine = np.einsum("ix,jkx->ijk", cells[:, 0], cells)
    return np.fft.rfft(np.exp((cosine - 1) / np.radians(SPREAD_DEGREES) ** 2), axis=2)


def _draw(
    panorama: Rgb, histogram: Floats, segments: Floats, seconds: float, named: Sequence[tuple[str, Floats]]
) -> Image.Image:
    height = WIDTH // 2
    background = stepped_back(panorama, height)
    paint(background, smooth(histogram))

    image = Image.new("RGB", (WIDTH * _FINE, (height + _FOOTER) * _FINE), _PAPER)
    # Repeated pixels are restored exactly when the image is scaled down; only what is drawn over them is smoothed.
    base = Image.fromarray(background.round().astype(np.uint8))
    image.paste(base.resize((WIDTH * _FINE, height * _FINE), Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(image, "RGBA")
    _draw_graticule(pen, height)
    if named:
        _names(pen, named, height)
    else:
        _path(pen, segments, seconds, height)
    energy = segments[:, 3].sum()
    diffuse = 1 - np.linalg.norm(segments[:, :3], axis=1).sum() / energy if energy > 0 else None
    words = _summary(seconds, None if diffuse is None else float(diffuse), "names: the sources" if named else _DOTS)
    _legend(image, pen, height, words)
    return image.reduce(_FINE)


def _enlarge(density: Floats, height: int) -> Floats:
    """The density at the image's size, interpolated across the seam and held at the poles."""
    margin = 4
    wrapped = np.pad(np.pad(density, ((0, 0), (margin, margin)), "wrap"), ((margin, margin), (0, 0)), "edge")
    box = (margin, margin, margin + COLUMNS, margin + ROWS)
    image = Image.fromarray(wrapped.astype(np.float32)).resize((2 * height, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image).clip(min=0)


def _colour(share: Floats) -> npt.NDArray[np.float32]:
    """The ramp's colours `(..., 3)` for 0 (faint) to 1 (loudest)."""
    colours = _colours()
    return colours[(share * (len(colours) - 1)).round().astype(np.intp)]


@cache
def _colours() -> npt.NDArray[np.float32]:
    """The ramp as a table `(steps, 3)` finer than a screen's levels: a lookup is faster than interpolation."""
    places, shares = np.linspace(0, 1, len(_RAMP)), np.linspace(0, 1, 1024)
    return np.stack([np.interp(shares, places, channel) for channel in np.transpose(_RAMP)], axis=-1).astype(np.float32)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _FINE)


@cache
def graticule(height: int) -> Image.Image:
    """Labelled meridians and parallels to overlay on a panorama: RGBA, `(height, 2·height)`."""
    image = Image.new("RGBA", (2 * height * _FINE, height * _FINE))
    _draw_graticule(ImageDraw.Draw(image), height)
    return image.reduce(_FINE)


def _draw_graticule(pen: ImageDraw.ImageDraw, height: int) -> None:
    width = 2 * height
    names = {0: "front", 90: "left", -90: "right"}
    for azimuth in range(-135, 180, 45):
        x = (0.5 - azimuth / 360) * width * _FINE
        pen.line([(x, 0), (x, height * _FINE)], fill=(255, 255, 255, 60), width=_FINE)
        label = f"{names[azimuth]} {azimuth}°" if azimuth in names else f"{azimuth}°"
        _label(pen, (x, (height - 16) * _FINE), label, "mm", _INK)
    for side, anchor in ((8, "lm"), (width - 8, "rm")):
        _label(pen, (side * _FINE, (height - 16) * _FINE), "back", anchor, _INK)
    for elevation in (-45, 0, 45):
        y = (0.5 - elevation / 180) * height * _FINE
        pen.line([(0, y), (width * _FINE, y)], fill=(255, 255, 255, 60), width=_FINE)
        _label(pen, (8 * _FINE, y - 12 * _FINE), f"{elevation}°", "lm", _INK)


def _place(vector: Floats, height: int) -> tuple[float, float]:
    """The position of a direction in the image, in fine pixels."""
    u, v = to_uv(vector)
    return float(u) * WIDTH * _FINE, (1 - float(v)) * height * _FINE


def _arc(pen: ImageDraw.ImageDraw, first: Floats, second: Floats, height: int) -> None:
    """Draw the line from one direction to another."""
    steps = 1 + int(np.degrees(angle_between(first, second)))
    arc = [_place(first + (second - first) * step / steps, height) for step in range(steps + 1)]
    for start, end in pairwise(arc):
        if abs(start[0] - end[0]) < WIDTH * _FINE / 2:  # Not across the whole image at the seam.
            pen.line([start, end], fill=(0, 0, 0, 150), width=6 * _FINE)
            pen.line([start, end], fill=(255, 255, 255, 230), width=3 * _FINE)


def _names(pen: ImageDraw.ImageDraw, named: Sequence[tuple[str, Floats]], height: int) -> None:
    """Draw the path of each source, with a dot and its name in the middle; names do not overlap."""
    taken: list[tuple[float, float]] = []
    for name, path in named:
        for first, second in pairwise(path):
            _arc(pen, first, second, height)
        x, y = _place(path[len(path) // 2], height)
        radius = 5 * _FINE
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], (255, 255, 255), (0, 0, 0), _FINE)
        above = y - 18 * _FINE
        while any(abs(x - other_x) < 120 * _FINE and abs(above - other_y) < 20 * _FINE for other_x, other_y in taken):
            above -= 22 * _FINE
        taken.append((x, above))
        _label(pen, (x, above), name, "mm", (255, 255, 255))


def _path(pen: ImageDraw.ImageDraw, segments: Floats, seconds: float, height: int) -> None:
    """Draw the mean direction over time: a dot per section, great circles between them, and labels at some dots."""
    if not len(segments):
        return
    each = ceil(len(segments) / _PATH_POINTS)
    sums = np.add.reduceat(segments, np.arange(0, len(segments), each), axis=0)
    lengths = np.linalg.norm(sums[:, :3], axis=1)
    loud = (lengths > (1 - _MAX_DIFFUSE) * sums[:, 3]) & (sums[:, 3] > 10 ** (-RANGE_DB / 10) * sums[:, 3].max())
    aims = [flow / length if clear else None for flow, length, clear in zip(sums[:, :3], lengths, loud, strict=True)]

    for first, second in pairwise(aims):
        if first is not None and second is not None:
            _arc(pen, first, second, height)
    labelled: list[tuple[float, float]] = []
    for index, aim in enumerate(aims):
        if aim is None:
            continue
        x, y = _place(aim, height)
        radius = 5 * _FINE
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], (255, 255, 255), (0, 0, 0), _FINE)
        if all(abs(x - other_x) > 70 * _FINE or abs(y - other_y) > 45 * _FINE for other_x, other_y in labelled):
            _label(pen, (x, y - 18 * _FINE), f"{index * each * SEGMENT_SECONDS:g} s", "mm", (255, 255, 255))
            labelled.append((x, y))


def _legend(image: Image.Image, pen: ImageDraw.ImageDraw, height: int, summary: str) -> None:
    top, left, width, bar = height + 14, 16, 420, 18
    colours = _colour(np.linspace(0, 1, width * _FINE)[None]).astype(np.uint8)
    image.paste(Image.fromarray(np.repeat(colours, bar * _FINE, axis=0)), (left * _FINE, top * _FINE))
    for fraction, anchor in ((0.0, "lm"), (1 / 3, "mm"), (2 / 3, "mm"), (1.0, "rm")):
        label = f"{(fraction - 1) * RANGE_DB:.0f} dB"
        pen.text(((left + fraction * width) * _FINE, (top + bar + 20) * _FINE), label, _FAINT, _font(_TEXT - 3), anchor)
    words = [
        ("Where the sound comes from: energy below the loudest direction", _INK),
        (summary, _FAINT),
    ]
    for line, (text, colour) in enumerate(words):
        pen.text(((left + width + 28) * _FINE, (top + 9 + 28 * line) * _FINE), text, colour, _font(_TEXT), "lm")


def _summary(seconds: float, diffuse: float | None, marks: str) -> str:
    if diffuse is None:
        return f"{seconds:.1f} s, silent"
    return f"{seconds:.1f} s, {diffuse:.0%} of the energy diffuse; {marks}"


def _label(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, anchor: str, ink: tuple[int, int, int]
) -> None:
    pen.text(at, text, ink, _font(_TEXT - 2), anchor, stroke_width=2 * _FINE, stroke_fill=(0, 0, 0, 170))
