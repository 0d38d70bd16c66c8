"""Recognising a projection: drawn panoramas and flat images of every shape, with bars, logos, compression."""

import io
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from omniaudio.video.panorama import Rgb
from omniaudio.video.projection import (
    fisheye_circles,
    guessed_stereo,
    look,
    panorama_size,
    shows_no_sphere,
    shows_sphere,
    verdict,
)
from support.projections import fisheye, half, panorama, photograph, resized

SHAPES = [(360, 180), (384, 216), (320, 240), (405, 180)]
"""2:1, 16:9, 4:3 and 2.25:1."""


def with_bars(image: Rgb) -> Rgb:
    out = image.copy()
    out[: len(out) // 10] = out[-len(out) // 8 :] = 0
    return out


def with_coloured_bar(image: Rgb) -> Rgb:
    out = image.copy()
    out[-len(out) // 6 :] = (40, 90, 200)
    return out


def with_logo(image: Rgb) -> Rgb:
    drawing = Image.fromarray(image)
    height, width = image.shape[:2]
    ImageDraw.Draw(drawing).rectangle((width * 0.38, height * 0.8, width * 0.62, height), fill=(255, 255, 255))
    return np.array(drawing)


def compressed(image: Rgb) -> Rgb:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=20)
    return np.array(Image.open(file))


def dark(image: Rgb) -> Rgb:
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    return (image * 0.25 + noise).clip(0, 255).astype(np.uint8)


def rotated(image: Rgb) -> Rgb:
    return np.roll(image, image.shape[1] // 3, axis=1)


def same(image: Rgb) -> Rgb:
    return image


@pytest.mark.parametrize("change", [same, with_bars, with_coloured_bar, with_logo, compressed, dark, rotated])
@pytest.mark.parametrize("shape", SHAPES)
def test_panoramas_are_recognised(shape: tuple[int, int], change: Callable[[Rgb], Rgb]) -> None:
    for seed in range(2):
        seen = look(change(resized(panorama(seed=seed), *shape)))
        assert shows_sphere(seen)
        assert not shows_no_sphere(seen)


@pytest.mark.parametrize("change", [same, with_bars, with_coloured_bar, with_logo, compressed, dark])
@pytest.mark.parametrize("shape", SHAPES)
def test_photographs_are_recognised(shape: tuple[int, int], change: Callable[[Rgb], Rgb]) -> None:
    for seed in range(2):
        seen = look(change(photograph(shape[1], shape[0], seed)))
        assert not shows_sphere(seen)
        assert shows_no_sphere(seen)


def drawn(name: str) -> Rgb:
    """Flat images whose edges are alike."""
    y, x = np.mgrid[0 : 1 : 180 * 1j, 0 : 1 : 320 * 1j][..., None]
    light = {
        "plain": 0 * x + 90,
        "black": 0 * x,
        "sky": 200 - 90 * y + 0 * x,
        "sides": 255 * x + 0 * y,
        "vignette": 220 * np.exp(-3 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)),
        "disc": 255 * (np.hypot((x - 0.5) * 1.78, y - 0.5) < 0.3),
        "stripes": 127 + 120 * np.sin(40 * y) + 0 * x,
        "screen": np.where(
            y < 0.1, 40, 240 - 100 * ((np.sin(300 * x) > 0) & (np.sin(90 * y) > 0.5) & (x > 0.2) & (x < 0.8))
        ),
        "noise": np.random.default_rng(1).uniform(0, 255, (180, 320, 1)),
    }[name]
    return np.repeat(light.clip(0, 255), 3, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("name", ["plain", "black", "sky", "sides", "vignette", "disc", "stripes", "screen", "noise"])
def test_graphics_are_not_spheres(name: str) -> None:
    assert not shows_sphere(look(drawn(name)))


@pytest.mark.parametrize("name", ["plain", "black", "noise"])
def test_images_that_tell_nothing(name: str) -> None:
    assert not shows_no_sphere(look(drawn(name)))


def test_an_image_and_its_mirror_image_are_not_a_sphere() -> None:
    half_of_it = photograph()[:, :160]
    assert not shows_sphere(look(np.concatenate([half_of_it, half_of_it[:, ::-1]], axis=1)))


@pytest.mark.parametrize("axis", [0, 1])
def test_two_fisheye_circles(axis: int) -> None:
    """Beside each other, as a Theta records them, and above each other; also on a wider black, and darker."""
    both = np.concatenate([fisheye(seed=1), fisheye(seed=2)], axis=axis)
    for image in (both, np.pad(both, ((0, 20), (0, 0), (0, 0))), dark(both), compressed(both)):
        assert fisheye_circles(image) == 2
        assert verdict([look(image)], surely=False) == "it shows two fisheye images; stitch it first"


def test_one_fisheye_circle() -> None:
    image = np.pad(fisheye(), ((0, 0), (60, 60), (0, 0)))
    assert fisheye_circles(image) == 1
    assert "one fisheye" in str(verdict([look(image)], surely=True))


def test_panoramas_with_dark_ends_are_not_fisheye() -> None:
    for seed in range(3):
        image = panorama(seed=seed).copy()
        image[:30] = image[-30:] = 0
        assert fisheye_circles(image) == 0


@pytest.mark.parametrize("shift", [0, 3])
def test_half_a_sphere_for_each_eye(shift: int) -> None:
    """VR180: eyes that see much the same, near things shifted; the edges may fade to black."""
    left = half()
    right = np.roll(left, shift, axis=1)
    fade = np.minimum(1, np.linspace(0, 8, 180))[None, :, None]
    fade = fade * fade[:, ::-1]
    for image in (np.hstack([left, right]), np.hstack([left * fade, right * fade]).astype(np.uint8)):
        assert guessed_stereo(image, Fraction(1)) == "mono"
        assert "VR180" in str(verdict([look(image)], surely=False))
    circles = np.concatenate([fisheye(), fisheye()], axis=1)
    assert "VR180" in str(verdict([look(circles)], surely=False))


def test_eyes_that_were_squeezed_into_the_shape_of_one() -> None:
    for width, height in ((360, 180), (384, 216)):
        above = np.concatenate([resized(panorama(), width, height // 2)] * 2, axis=0)
        beside = np.concatenate([resized(panorama(), width // 2, height)] * 2, axis=1)
        assert guessed_stereo(above, Fraction(1)) == "top-bottom"
        assert guessed_stereo(beside, Fraction(1)) == "side-by-side"
        assert guessed_stereo(resized(panorama(), width, height), Fraction(1)) == "mono"
        assert guessed_stereo(photograph(height, width), Fraction(1)) == "mono"


@pytest.mark.parametrize(
    ("size", "stereo", "projection", "wanted"),
    [
        ((1920, 1080), "mono", None, (1920, 960)),
        ((1440, 1080), "mono", "equirectangular", (1440, 720)),
        ((644, 322), "mono", None, (644, 322)),
        ((1920, 1080), "mono", "cubemap", (1920, 1080)),
        ((2000, 2000), "top-bottom", None, (2000, 1000)),
        ((2000, 1000), "top-bottom", None, (2000, 1000)),
        ((2000, 1000), "side-by-side", None, (2000, 1000)),
        ((3840, 2160), "top-bottom", None, (3840, 1920)),
        ((4000, 1000), "side-by-side", None, (2000, 1000)),
        ((1080, 1920), "mono", None, (1080, 1920)),
        ((1, 1), "top-bottom", None, (1, 1)),
    ],
)
def test_sizes(size: tuple[int, int], stereo: str, projection: str | None, wanted: tuple[int, int]) -> None:
    assert panorama_size(*size, Fraction(1), stereo, projection) == wanted  # type: ignore[arg-type]


def test_the_verdict_of_several_frames() -> None:
    sphere, flat, black = look(panorama()), look(photograph()), look(drawn("black"))
    for surely in (False, True):
        assert verdict([sphere], surely=surely) is None
        assert verdict([black, sphere, sphere], surely=surely) is None
        assert verdict([flat], surely=surely) == "its left and right edges do not meet"
        assert verdict([black, flat, flat], surely=surely) is not None
    assert verdict([black], surely=False) is None
    assert verdict([black], surely=True) == "nothing in it shows that it is a sphere"
    assert verdict([sphere, sphere, flat], surely=True) is None
    assert verdict([sphere, flat, flat], surely=True) is not None


@settings(deadline=None, max_examples=40)
@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_any_image_can_be_judged(image: Rgb) -> None:
    seen = look(image)
    assert not (shows_sphere(seen) and shows_no_sphere(seen))
    guessed_stereo(image, Fraction(1))
