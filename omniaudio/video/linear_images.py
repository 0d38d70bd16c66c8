"""Scene-linear images, OpenEXR and Radiance, converted for display by the sRGB curve (IEC 61966-2-1), where 1 and
brighter is white.

OpenEXR files are read by OpenEXR's own library. Of several layers, such as the render passes of Blender's MultiLayer
files or the parts of a file, the one with the combined image is used.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from omniaudio.video.panorama import Rgb

MAX_PIXELS = 16384 * 8192
"""Limit for an image; a decoded one takes 3 bytes per pixel, and a few times that during decoding."""

_RADIANCE_SIZE = re.compile(rb"\n[-+][XY] (\d+) [-+][XY] (\d+)\n")
_RADIANCE_HEADER = 1 << 16
"""Bytes; more than any program writes."""

_COLOURS = ("R", "G", "B")
_GREY = ("Y", "V")
"""Names of a single luminance channel: OpenEXR's and Blender's."""
_NO_GREY = frozenset("XZU")
"""Next to these, Y and V are coordinates: of normals, motion or textures."""
_DEEP = ("deepscanline", "deeptile")


class TooLargeError(ValueError):
    """An image has more than MAX_PIXELS."""


def check_size(width: int, height: int) -> None:
    """Raises TooLargeError if an image has too many pixels to decode."""
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width}×{height}")


def read_exr(path: Path) -> Rgb:
    """Read the display window of an OpenEXR image of any layout and compression as `uint8 (height, width, 3)` RGB.

    Of several layers it takes the first without a name, else the first that Blender calls Combined, else the first
    with colours or grey. If the chroma is subsampled, only the luminance is used.

    Raises ValueError or RuntimeError if it cannot be read."""
    import OpenEXR  # noqa: PLC0415 - slow to import, and rarely needed

    # A stream, since the library only takes names in UTF-8. It prints what is wrong with a part.
    with path.open("rb") as stream, redirect_stdout(StringIO()):
        header = OpenEXR.File(stream, separate_channels=True, header_only=True)
        layers = [layer for number, part in enumerate(header.parts) for layer in _layers(number, part)]
        if not layers:
            raise ValueError("it has neither RGB nor grey channels")
        layer = min(layers, key=_rank)
        stream.seek(0)
        parts = OpenEXR.File(stream, separate_channels=True).parts
    part = next((part for part in parts if part.part_index == layer.part), None)
    if part is None or any(name not in part.channels for name in layer.channels):
        raise ValueError("it is damaged or truncated")
    return _in_display_window(part.header, [part.channels[name].pixels for name in layer.channels])


def read_radiance(path: Path) -> Rgb:
    """Read a Radiance image (.hdr) as `uint8 (height, width, 3)` RGB.

    Raises ValueError or av.error.FFmpegError if it cannot be read."""
    with path.open("rb") as stream:
        if size := _RADIANCE_SIZE.search(stream.read(_RADIANCE_HEADER)):
            check_size(int(size[1]), int(size[2]))
    # Guessing from the content, FFmpeg would also accept a playlist and follow it to other files.
    with av.open(f"file:{path}", format="hdr_pipe") as container:
        frame = next(container.decode(video=0), None)
    if frame is None:
        raise ValueError("it contains no image")
    planes = frame.reformat(format="gbrpf32le").planes
    green, blue, red = (np.frombuffer(memoryview(plane), np.float32).reshape(frame.height, -1) for plane in planes)
    return np.stack([shown(plane[:, : frame.width]) for plane in (red, green, blue)], axis=-1)


def shown(light: npt.NDArray[Any]) -> Rgb:
    """Convert scene-linear light of any shape for display, 0 to 255; NaN becomes black."""
    with np.errstate(over="ignore"):  # to infinity, which is white
        half = light.astype(np.float16, copy=False)
    image: Rgb = _curve()[np.ascontiguousarray(half).view(np.uint16)]
    return image


@cache
def _curve() -> Rgb:
    """The sRGB value of every 16-bit float; these are closer together than 8 bits can distinguish."""
    light = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    light = np.nan_to_num(light, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    screen = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * screen), np.uint8)


class _Layer(NamedTuple):
    part: int
    name: str
    channels: tuple[str, ...]
    """The names of red, green and blue, or of a single grey channel."""


def _layers(number: int, part: Any) -> Iterable[_Layer]:
    """The layers of a part that can be displayed."""
    for lower, upper in (part.header["dataWindow"], part.header["displayWindow"]):
        check_size(*(int(size) for size in upper.astype(np.int64) - lower + 1))
    if part.type().name in _DEEP:
        return
    layers: dict[str, dict[str, str]] = {}
    for channel in part.header["channels"]:
        layer, _, kind = channel.name.rpartition(".")
        layers.setdefault(layer, {})[kind.upper()] = channel.name
    for layer, names in layers.items():
        if all(colour in names for colour in _COLOURS):
            yield _Layer(number, layer, tuple(names[colour] for colour in _COLOURS))
        elif not _NO_GREY & names.keys():
            yield from (_Layer(number, layer, (names[grey],)) for grey in _GREY if grey in names)


def _rank(layer: _Layer) -> tuple[int, bool]:
    named = 0 if not layer.name else 1 if "combined" in layer.name.lower().split(".") else 2
    return named, len(layer.channels) == 1


def _in_display_window(header: Mapping[str, Any], planes: list[npt.NDArray[Any]]) -> Rgb:
    """The part of the data window that lies in the display window; missing pixels are black."""
    (left, top), (right, bottom) = (corner.tolist() for corner in header["displayWindow"])
    (x, y), _ = (corner.tolist() for corner in header["dataWindow"])
    image = np.zeros((bottom - top + 1, right - left + 1, 3), np.uint8)
    for colour in range(3):
        data = planes[colour % len(planes)]
        if len(planes) == 1 and colour:
            image[..., colour] = image[..., 0]
            continue
        inside = data[max(0, top - y) : max(0, bottom + 1 - y), max(0, left - x) : max(0, right + 1 - x)]
        into = image[max(0, y - top) :, max(0, x - left) :, colour]
        into[: inside.shape[0], : inside.shape[1]] = shown(inside)
    return image
