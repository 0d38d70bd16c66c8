"""Still pictures and numbered image sequences: reading one picture as RGB, finding a sequence's files in order.

Pillow reads what people keep photographs in; what holds scene-linear light is read by `linear_images`."""

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
"""Pillow's names of those that suffixes promise. It goes by content, and would hand PostScript to Ghostscript."""

_ROWS = 256
"""That are converted to RGB at once."""
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
"""TIFF 6.0: tags and their values."""

_DIGITS = re.compile(r"(\d+)")
_PLACEHOLDER = re.compile(r"#+|%0?\d*d")


def is_still(path: Path) -> bool:
    """Whether a file's name says that it holds one picture."""
    return path.suffix.lower() in STILL_SUFFIXES


def is_sequence(path: Path) -> bool:
    """Whether a path stands for an image sequence: a folder, or a name with #### or %04d where the numbers are."""
    return path.is_dir() or (not path.exists() and bool(_PLACEHOLDER.search(path.name)))


def read_still(path: Path) -> Rgb:
    """A picture as `uint8 (height, width, 3)` RGB, upright; transparency is dropped.

    Raises UserError (NOT_A_VIDEO) where it cannot be read."""
    return read_described_still(path)[0]


def read_described_still(path: Path) -> tuple[Rgb, GPano | None]:
    """A picture as `read_still` gives it, and what its metadata say of the sphere, in one reading: they may lie behind
    the pixels.

    Raises UserError (NOT_A_VIDEO) where it cannot be read."""
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
            f"{path.name} has too many pixels; scale it to 16384×8192 at most.", ExitCode.NOT_A_VIDEO
        ) from error
    except Exception as error:  # Decoders raise nearly everything where a file is damaged.
        raise UserError(
            f"{path.name} cannot be read as a picture ({error}); save it as PNG or JPEG and try again.",
            ExitCode.NOT_A_VIDEO,
        ) from error


def sequence_files(path: Path) -> list[tuple[int, Path]]:
    """The pictures of a sequence with their places in it, from 0: the numbers in their names count, so that a picture
    that is missing leaves a gap and shifts none. In a folder it is the last number in the name.

    Raises UserError (NO_INPUT) where there is none, or where a folder holds more than one sequence."""
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
        raise UserError(f"There is no picture of an image sequence at {path}; check the path.", ExitCode.NO_INPUT)
    places = sorted((int(number or 0), file) for number, file in numbered)
    if len({place for place, _ in places}) < len(places):
        raise _several(path)
    return [(place - places[0][0], file) for place, file in places]


def _several(path: Path) -> UserError:
    return UserError(
        f"{path} holds more than one image sequence; name the one that is meant, like {path / 'frame_####.png'}.",
        ExitCode.NO_INPUT,
    )


def _read_by_pillow(path: Path) -> tuple[Rgb, GPano | None]:
    with warnings.catch_warnings():
        # Pillow warns of panoramas from 89 megapixels on, and of untidy metadata.
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_FORMATS) as image:
            check_size(*image.size)
            image.load()  # A PNG's metadata may lie behind its pixels.
            xmp = image.info.get("xmp")
            ImageOps.exif_transpose(image, in_place=True)
            picture = _deep_grey(image) if image.mode[0] in "IF" else _eight_bits(image)
    return picture, parse_gpano(xmp) if isinstance(xmp, bytes | str) else None


def _eight_bits(image: Image.Image) -> Rgb:
    picture = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):  # Pillow's copies of the whole would take twice what the image takes.
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        picture[top : top + _ROWS] = np.asarray(rows.convert("RGB"))
    return picture


def _deep_grey(image: Image.Image) -> Rgb:
    """Grey in more than 8 bits, which Pillow's own conversion clips. Floats are scene-linear, as in OpenEXR."""
    values = np.asarray(image)
    tags: Mapping[int, Any] = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if image.mode == "F":
        grey = shown(values)
    else:
        (stored,), (sample,) = tags.get(_BITS, (16,)), tags.get(_SAMPLE_FORMAT, (1,))
        signed = sample == _SIGNED
        values = values.clip(0) if signed or image.mode != "I" else values.view(np.uint32)
        bits, highest = stored - signed, int(values.max(initial=0))
        if stored == 32:  # Programs also write 8 or 16 bits into 32, where they would be black.
            bits = next(bits for bits in (8, 16, bits) if highest < 1 << bits)
        grey = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=2)
