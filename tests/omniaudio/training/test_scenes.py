"""Cutouts placed in panoramas appear where they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from omniaudio.audio.ambisonics import panorama_directions, unit_vector
from omniaudio.training.scenes import Billboard, render

RED = Image.new("RGBA", (60, 60), (255, 0, 0, 255))
GREY = np.full((128, 256, 3), 90, np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(-1.3, 1.3), st.floats(0.3, 1.2))
def test_a_billboard_covers_its_direction(azimuth: float, elevation: float, size: float) -> None:
    seen = render(GREY, [Billboard(RED, azimuth, elevation, size)])
    directions = panorama_directions(128, 256)
    covered = (seen[..., 0] > 200) * np.hypot(directions[..., 0], directions[..., 1])  # narrow towards the poles
    centre = (directions * covered[..., None]).sum((0, 1))
    centre /= np.linalg.norm(centre)
    assert np.degrees(np.arccos(min(centre @ unit_vector(azimuth, elevation), 1.0))) < 3


def test_a_cutout_is_neither_mirrored_nor_upside_down() -> None:
    cutout = Image.new("RGBA", (40, 40), (0, 0, 255, 255))
    cutout.paste((255, 0, 0, 255), (0, 0, 20, 20))  # top left
    seen = render(GREY, [Billboard(cutout, 0.0, 0.0, 0.8)])
    rows, columns = np.nonzero(seen[..., 0] > 200)
    assert rows.mean() < 64
    assert columns.mean() < 128


def test_the_given_panorama_is_left_alone_and_the_later_billboard_is_in_front() -> None:
    before = GREY.copy()
    blue = Image.new("RGBA", (60, 60), (0, 0, 255, 255))
    seen = render(GREY, [Billboard(RED, 0.0, 0.0, 0.5), Billboard(blue, 0.0, 0.0, 0.5)])
    np.testing.assert_array_equal(GREY, before)
    assert seen[64, 128].tolist() == [0, 0, 255]


@pytest.mark.parametrize("alpha", [0, 255])
def test_transparency_shows_what_is_behind(alpha: int) -> None:
    seen = render(GREY, [Billboard(Image.new("RGBA", (9, 9), (255, 255, 255, alpha)), 0.0, 0.0, 0.5)])
    assert seen[64, 128, 0] == (255 if alpha else 90)
