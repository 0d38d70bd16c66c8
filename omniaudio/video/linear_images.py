"""Images that hold scene-linear light, OpenEXR and Radiance, shown on a screen: by the sRGB curve (IEC 61966-2-1),
where 1 and what is brighter is white.

OpenEXR files are read by OpenEXR's own library. Of several layers, as render passes in Blender's MultiLayer files or in
the parts of a file, the one that holds the picture is shown.
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
"""Of an image; a decoded one takes 3 bytes a pixel, and a few times that while it is decoded."""

_RADIANCE_SIZE = re.compile(rb"\n[-+][XY] (\d+) [-+][XY] (\d+)\n")
_RADIANCE_HEADER = 1 << 16
"""Bytes; more than any program writes."""

_COLOURS = ("R", "G", "B")
_GREY = ("Y", "V")
"""A single channel of luminance as OpenEXR's standard and as Blender call it."""
_NO_GREY = frozenset("XZU")
"""Beside these, Y and V are coordinates: of normals, motion or textures."""
_DEEP = ("deepscanline", "deeptile")


class TooLargeError(ValueError):
    """An image has more than MAX_PIXELS."""


def check_size(width: int, height: int) -> None:
    """Raises TooLargeError for an image that is not to be decoded."""
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width}×{height}")


def read_exr(path: Path) -> Rgb:
    """An OpenEXR image of any layout and compression as `uint8 (height, width, 3)` RGB, of its display window.

    Of several layers it is the first without a name; else the first that Blender calls Combined; else the first that
    has colours or grey. Of luminance with subsampled chroma the luminance is shown.

    Raises ValueError or RuntimeError where it cannot be read."""
    import OpenEXR  # noqa: PLC0415 - only who reads OpenEXR waits for it

    # A stream, since the library takes no name that is not UTF-8. What is wrong with a part it prints.
    with path.open("rb") as stream, redirect_stdout(StringIO()):
        header = OpenEXR.File(stream, separate_channels=True, header_only=True)
        layers = [layer for number, part in enumerate(header.parts) for layer in _layers(number, part)]
        if not layers:
            raise ValueError("it holds neither RGB nor grey")
        layer = min(layers, key=_rank)
        stream.seek(0)
        parts = OpenEXR.File(stream, separate_channels=True).parts
    part = next((part for part in parts if part.part_index == layer.part), None)
    if part is None or any(name not in part.channels for name in layer.channels):
        raise ValueError("it is damaged or cut off")
    return _in_display_window(part.header, [part.channels[name].pixels for name in layer.channels])


def read_radiance(path: Path) -> Rgb:
    """A Radiance image (.hdr) as `uint8 (height, width, 3)` RGB.

    Raises ValueError or av.error.FFmpegError where it cannot be read."""
    with path.open("rb") as stream:
        if size := _RADIANCE_SIZE.search(stream.read(_RADIANCE_HEADER)):
            check_size(int(size[1]), int(size[2]))
    # By content FFmpeg would also take a playlist, and follow it to other files.
    with av.open(f"file:{path}", format="hdr_pipe") as container:
        frame = next(container.decode(video=0), None)
    if frame is None:
        raise ValueError("there is no picture in it")
    planes = frame.reformat(format="gbrpf32le").planes
    green, blue, red = (np.frombuffer(memoryview(plane), np.float32).reshape(frame.height, -1) for plane in planes)
    return np.stack([shown(plane[:, : frame.width]) for plane in (red, green, blue)], axis=-1)


def shown(light: npt.NDArray[Any]) -> Rgb:
    """Scene-linear light of any shape as it looks on a screen, 0 to 255; what is no number is black."""
    with np.errstate(over="ignore"):  # to infinity, which is white
        half = light.astype(np.float16, copy=False)
    picture: Rgb = _curve()[np.ascontiguousarray(half).view(np.uint16)]
    return picture


@cache
def _curve() -> Rgb:
    """Of every 16-bit float the sRGB value; they are closer together than 8 bits tell apart."""
    light = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    light = np.nan_to_num(light, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    screen = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * screen), np.uint8)


class _Layer(NamedTuple):
    part: int
    name: str
    channels: tuple[str, ...]
    """Of red, green and blue, or a single one."""


def _layers(number: int, part: Any) -> Iterable[_Layer]:
    """The layers of a part that can be shown."""
    for least, most in (part.header["dataWindow"], part.header["displayWindow"]):
        check_size(*(int(size) for size in most.astype(np.int64) - least + 1))
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
    """The part of the data window that lies in the display window; what is not there is black."""
    (left, top), (right, bottom) = (corner.tolist() for corner in header["displayWindow"])
    (x, y), _ = (corner.tolist() for corner in header["dataWindow"])
    picture = np.zeros((bottom - top + 1, right - left + 1, 3), np.uint8)
    for colour in range(3):
        data = planes[colour % len(planes)]
        if len(planes) == 1 and colour:
            picture[..., colour] = picture[..., 0]
            continue
        inside = data[max(0, top - y) : max(0, bottom + 1 - y), max(0, left - x) : max(0, right + 1 - x)]
        into = picture[max(0, y - top) :, max(0, x - left) :, colour]
        into[: inside.shape[0], : inside.shape[1]] = shown(inside)
    return picture
