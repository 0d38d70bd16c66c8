"""Brings pictures of things to one form: RGBA cut-outs, tightly cropped, at most 512 pixels long."""

from __future__ import annotations

import io
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

LONGEST = 512
SMALLEST = 24  # pixels: a thing smaller than that shows nothing
PLAIN = 24  # largest difference, of 255, within a plain background
GRABCUT_ROUNDS = 6

Box = tuple[float, ...]  # left, top, right, bottom as fractions of the picture


def load(path: Path) -> Image.Image:
    """Any picture file as RGBA; drawings in SVG are rendered with their longest side at 512."""
    if path.suffix in {".svg", ".svgz"}:
        return _render_svg(path.read_bytes())
    return Image.open(path).convert("RGBA")


def from_iconify(icons: Path, name: str) -> Image.Image | None:
    """One icon of a set in Iconify's JSON form; None when the set lacks it."""
    parsed = _read_json(icons)
    icon = parsed["icons"].get(name)
    if icon is None:
        return None
    width, height = icon.get("width", parsed.get("width", 16)), icon.get("height", parsed.get("height", 16))
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {namespaces} viewBox="0 0 {width} {height}" width="{width}" height="{height}">{icon["body"]}</svg>'
    return _render_svg(svg.encode())


def emoji_file(names: Path, name: str, folder: Path) -> Path | None:
    """The file of an emoji, by its Iconify name, in a folder of files named by code point; None when there is none."""
    for code, known in _read_json(names).items():
        found = folder / f"{code}.webp"
        if known == name and found.exists():
            return found
    return None


def cut_out(picture: Image.Image, box: Box | None = None) -> Image.Image | None:
    """The thing alone. Its alpha is the file's, or, when the file is opaque, found: by GrabCut (Rother et al. 2004)
    within `box` when one is given, else by taking away the plain background that touches the border.

    None when there is no background to take away or nothing is left.
    """
    pixels = np.asarray(_shrunk(picture))
    if box is not None:
        pixels = _grab(pixels, box)
    elif pixels[..., 3].min() > 250:
        plain = _without_background(pixels)
        if plain is None:
            return None
        pixels = plain
    rows, columns = np.nonzero(pixels[..., 3] > 16)
    if not len(rows):
        return None
    thing = Image.fromarray(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return thing if max(thing.size) >= SMALLEST else None


def _render_svg(svg: bytes) -> Image.Image:
    size = ["--width", str(LONGEST), "--height", str(LONGEST), "--keep-aspect-ratio"]
    result = subprocess.run(["rsvg-convert", *size], input=svg, capture_output=True, check=True)
    return Image.open(io.BytesIO(result.stdout)).convert("RGBA")


@cache
def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _shrunk(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return picture


def _without_background(pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Makes the plain area that touches the border transparent; None when the border is not plain."""
    colours = pixels[..., :3].astype(np.int16)
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    background = np.median(border, axis=0)
    if (np.abs(border - background).max(axis=1) < PLAIN).mean() < 0.6:
        return None
    plain = np.abs(colours - background).max(axis=2) < PLAIN
    labels, _ = ndimage.label(plain)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, edge[edge > 0])
    return _with_alpha(pixels, ~outside)


def _grab(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    left, top, right, bottom = (round(edge * size) for edge, size in zip(box, (width, height) * 2, strict=True))
    mask = np.zeros((height, width), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(pixels[..., 2::-1])
    cv2.setRNGSeed(0)
    cv2.grabCut(bgr, mask, (left, top, right - left, bottom - top), *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_RECT)
    thing = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    labels, count = ndimage.label(ndimage.binary_opening(thing, iterations=2))
    if not count:
        return _with_alpha(pixels, thing & False)
    largest = np.bincount(labels.ravel())[1:].argmax() + 1
    return _with_alpha(pixels, ndimage.binary_fill_holes(labels == largest))


def _with_alpha(pixels: NDArray[np.uint8], thing: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The thing with an edge of one soft pixel."""
    alpha = ndimage.gaussian_filter(thing.astype(np.float32), 0.8) * thing
    return np.dstack([pixels[..., :3], (alpha * 255).astype(np.uint8)])
