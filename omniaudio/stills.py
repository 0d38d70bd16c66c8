"""Still pictures and numbered image sequences: reading one picture as RGB, finding a sequence's files in order.

Pillow reads what people keep photographs in; OpenEXR and Radiance, which hold scene-linear light, are read by PyAV and
shown through the sRGB curve (IEC 61966-2-1)."""

import re
import warnings
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from omniaudio.errors import ExitCode, UserError
from omniaudio.gpano import GPano, parse_gpano

Picture = npt.NDArray[np.uint8]

LINEAR_SUFFIXES = frozenset({".exr", ".hdr"})
STILL_SUFFIXES = LINEAR_SUFFIXES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".avif"}

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "AVIF")
"""Pillow's names of those that suffixes promise. It goes by content, and would hand PostScript to Ghostscript."""

_DIGITS = re.compile(r"(\d+)")
_PLACEHOLDER = re.compile(r"#+|%0?\d*d")


def is_still(path: Path) -> bool:
    """Whether a file's name says that it holds one picture."""
    return path.suffix.lower() in STILL_SUFFIXES


def is_sequence(path: Path) -> bool:
    """Whether a path stands for an image sequence: a folder, or a name with #### or %04d where the numbers are."""
    return path.is_dir() or (not path.exists() and bool(_PLACEHOLDER.search(path.name)))


def read_still(path: Path) -> Picture:
    """A picture as `uint8 (height, width, 3)` RGB, upright; transparency is dropped.

    Raises UserError (NOT_A_VIDEO) where it cannot be read."""
    return read_described_still(path)[0]


def read_described_still(path: Path) -> tuple[Picture, GPano | None]:
    """A picture as `read_still` gives it, and what its metadata say of the sphere, in one reading: they may lie behind
    the pixels.

    Raises UserError (NOT_A_VIDEO) where it cannot be read."""
    try:
        if path.suffix.lower() in LINEAR_SUFFIXES:
            return _read_linear(path), None
        return _read_by_pillow(path)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, IndexError) as error:
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


def _read_by_pillow(path: Path) -> tuple[Picture, GPano | None]:
    with warnings.catch_warnings():
        # Pillow warns from 89 megapixels on: an ordinary panorama.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(path, formats=_FORMATS)
    with image:
        image.load()  # A PNG's metadata may lie behind its pixels.
        xmp = image.info.get("xmp")
        picture = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    return picture, parse_gpano(xmp) if isinstance(xmp, bytes | str) else None


def _read_linear(path: Path) -> Picture:
    # By content FFmpeg would also take a playlist, and follow it to other files.
    with av.open(f"file:{path}", format=f"{path.suffix[1:].lower()}_pipe") as container:
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise ValueError("there is no picture in it")
        light: npt.NDArray[Any] = frame.reformat(format="gbrpf32le").to_ndarray()
    light = np.nan_to_num(light[..., :3], nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * shown), dtype=np.uint8)
