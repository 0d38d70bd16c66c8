"""The sizes in which frames are encoded."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniaudio.video.h264 import fitted

SIDES = st.integers(1, 30000)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((1921, 961), (1920, 960)),
        ((8192, 4096), (8192, 4096)),
        ((16384, 8192), (8192, 4096)),
        ((12000, 6000), (8192, 4096)),
        ((8192, 8192), (5968, 5968)),  # Two eyes.
        ((16384, 4096), (8192, 2048)),
        ((1, 1), (2, 2)),
    ],
)
def test_the_size(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert fitted(*size) == wanted


@given(SIDES, SIDES)
def test_every_size_has_a_level(width: int, height: int) -> None:
    across, down = fitted(width, height)
    assert across % 2 == down % 2 == 0
    assert max(across, down) <= 8192
    assert ceil(across / 16) * ceil(down / 16) <= 139_264  # ITU-T H.264, table A-1
    if min(across, down) > 400:
        assert across / down == pytest.approx(width / height, rel=0.05)
