"""Still images and numbered image sequences: reading an image as RGB, finding a sequence's files in order.

Pillow reads the usual formats; scene-linear formats are read by `linear_images`."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.gpano import GPano, parse_gpano
from omniaudio.video.linear_images import TooLargeError, check_size, read_exr, read_radiance, shown
from omniaudio.video.panorama import Rgb

STILL_SUFFIXES = frozenset({".exr", ".hdr", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".avif"})

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "AVIF")
"""Pillow's names for the formats above. Pillow goes by content, and would pass PostScript to Ghostscript."""

_ROWS = 256
"""Rows converted to RGB at a time."""
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
"""TIFF 6.0 tags and values."""

_DIGITS = re.compile(r"(\d+)")
_PLACEHOLDER = re.compile(r"#+|%0?\d*d")


def is_still(path: Path) -> bool:
    """Whether a file's suffix is that of an image."""
    return path.suffix.lower() in STILL_SUFFIXES


def is_sequence(path: Path) -> bool:
    """Whether a path stands for an image sequence: a folder, or a name with #### or %04d in place of the numbers."""
    return path.is_dir() or (not path.exists() and bool(_PLACEHOLDER.search(path.name)))


def read_still(path: Path) -> Rgb:
    """Read an image as `uint8 (height, width, 3)` RGB, upright; transparency is dropped.

    Raises UserError (NOT_A_VIDEO) if it cannot be read."""
    return read_described_still(path)[0]


def read_described_still(path: Path) -> tuple[Rgb, GPano | None]:
    """Read an image as `read_still` does, together with its photo sphere metadata, which may follow the pixels.

    Raises UserError (NOT_A_VIDEO) if it cannot be read."""
    try:
        match path.suffix.lower():
            case ".exr":
                return read_exr(path), None
            case ".hdr":
                return read_radiance(path), None
            case _:
                return _read_by_pillow(path)
    except (TooLargeError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path.name} has too many pixels; scale it down to 16384×8192 or less.", ExitCode.NOT_A_VIDEO
        ) from error
    except Exception as error:  # Decoders raise nearly anything if a file is damaged.
        raise UserError(
            f"{path.name} cannot be read as an image ({error}); save it as PNG or JPEG and try again.",
            ExitCode.NOT_A_VIDEO,
        ) from error


def sequence_files(path: Path) -> list[tuple[int, Path]]:
    """The images of a sequence with their positions, from 0, taken from the numbers in their names: a missing image
    leaves a gap and shifts no other. In a folder, the last number in a name counts.

    Raises UserError (NO_INPUT) if there is no image, or more than one sequence."""
    if path.is_dir():
        files = [file for file in path.iterdir() if is_still(file) and not file.name.startswith(".")]
        if len({_DIGITS.sub("#", file.name) for file in files}) > 1:
            raise _several(path)
        name = re.compile(r"(?:.*\D)?(\d+)\D*" if len(files) > 1 else r"()?.*")
        numbered = [(match[1], file) for file in files if (match := name.fullmatch(file.stem))]
    else:
        before, after = _PLACEHOLDER.split(path.name, maxsplit=1)
        name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        files = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
        numbered = [(match[1], file) for file in files if (match := name.fullmatch(file.name))]
    if not numbered:
        raise UserError(f"There is no image of a sequence at {path}; check the path.", ExitCode.NO_INPUT)
    places = sorted((int(number or 0), file) for number, file in numbered)
    if len({place for place, _ in places}) < len(places):
        raise _several(path)
    return [(place - places[0][0], file) for place, file in places]


def _several(path: Path) -> UserError:
    return UserError(
        f"{path} holds more than one image sequence; choose one by its name, such as {path / 'frame_####.png'}.",
        ExitCode.NO_INPUT,
    )


def _read_by_pillow(path: Path) -> tuple[Rgb, GPano | None]:
    with warnings.catch_warnings():
        # Pillow warns about images above 89 megapixels and about untidy metadata.
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_FORMATS) as image:
            check_size(*image.size)
            image.load()  # A PNG's metadata may follow its pixels.
            xmp = image.info.get("xmp")
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _deep_grey(image) if image.mode[0] in "IF" else _eight_bits(image)
    return rgb, parse_gpano(xmp) if isinstance(xmp, bytes | str) else None


def _eight_bits(image: Image.Image) -> Rgb:
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):  # Converting it all at once would take three times the memory.
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        rgb[top : top + _ROWS] = np.asarray(rows.convert("RGB"))
    return rgb


def _deep_grey(image: Image.Image) -> Rgb:
    """Convert grey of more than 8 bits, which Pillow would clip. Floats are scene-linear, as in OpenEXR."""
    values = np.asarray(image)
    tags: Mapping[int, Any] = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if image.mode == "F":
        grey = shown(values)
    else:
        (stored,), (sample,) = tags.get(_BITS, (16,)), tags.get(_SAMPLE_FORMAT, (1,))
        signed = sample == _SIGNED
        values = values.clip(0) if signed or image.mode != "I" else values.view(np.uint32)
        bits, highest = stored - signed, int(values.max(initial=0))
        if stored == 32:  # Some programs store 8 or 16 bits in 32, which would look black.
            bits = next(bits for bits in (8, 16, bits) if highest < 1 << bits)
        grey = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=2)
