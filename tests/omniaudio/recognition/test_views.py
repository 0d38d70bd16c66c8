import numpy as np
import pytest

from omniaudio.recognition.views import Look, views
from omniaudio.video.panorama import perspective_view

LOOKS = [Look(0.0, 0.0, 1.0), Look(3.1, 0.4, 0.6), Look(-2.0, -0.7, 1.1), Look(1.0, 1.5, 0.8)]


def _panorama() -> np.ndarray:
    """Smooth, and continuous over the seam."""
    azimuth = (0.5 - (np.arange(512) + 0.5) / 512) * 2 * np.pi
    elevation = (0.5 - (np.arange(256) + 0.5) / 256) * np.pi
    height = np.sin(elevation)[:, None] * np.ones(512)
    east = np.cos(elevation)[:, None] * np.sin(azimuth)
    north = np.cos(elevation)[:, None] * np.cos(azimuth)
    return np.rint(127 + 120 * np.stack([height, east, north], axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("look", LOOKS)
def test_a_view_is_the_exact_ones_but_for_its_interpolation(look: Look) -> None:
    panorama = _panorama()
    (quick,) = views(panorama, [look], 64)
    exact = perspective_view(panorama, look.field, look.azimuth, look.elevation, 64)
    # The exact views take a pixel's centre to be its corner: at 512 pixels half a pixel is 0.35°, 1.5 levels here.
    assert np.abs(quick.astype(int) - exact).max() <= 5


def test_the_middle_of_a_view_is_its_direction() -> None:
    for look in LOOKS:
        (view,) = views(_panorama(), [look], 65)
        up = np.sin(look.elevation)
        east = np.cos(look.elevation) * np.sin(look.azimuth)
        north = np.cos(look.elevation) * np.cos(look.azimuth)
        assert (view[32, 32].astype(float) - 127) / 120 == pytest.approx([up, east, north], abs=0.02)
