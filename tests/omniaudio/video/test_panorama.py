"""Panoramas: the released code's own views, geometry against ambisonics."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file

from omniaudio.audio.ambisonics import Floats, panorama_directions, unit_vector
from omniaudio.video.panorama import (
    Rgb,
    pad_square,
    perspective_view,
    resize,
    to_uv,
    wrap_seam,
)
from omniaudio.vision.metaclip import cut
from support.paths import DATA


def smooth(height: int, width: int, seed: int = 0) -> Rgb:
    """A panorama made of broad plane waves over the sphere: continuous at the seam and at the poles."""
    random = np.random.default_rng(seed)
    waves = panorama_directions(height, width) @ random.normal(0, 6, (3, 3))
    return np.rint(127.5 + 127 * np.sin(waves)).astype(np.uint8)


@pytest.fixture(scope="module")
def released() -> dict[str, Rgb]:
    """The panorama of `released_views.npz`, and every fourth pixel of what the released code cuts from it."""
    stored = dict(np.load(DATA / "released_views.npz"))
    rows, columns = (_waves(count, periods) for count, periods in ((320, 0.5), (640, 1.0)))
    light = np.einsum("hi,ijc,wj->hwc", rows, stored.pop("waves").astype(float), columns)
    panorama = np.rint(light).clip(0, 255).astype(np.int16)
    panorama.reshape(-1)[np.cumsum(stored.pop("changed"))] += stored.pop("by")
    return {"panorama": panorama.astype(np.uint8), **stored}


def _waves(count: int, periods: float) -> Floats:
    """A constant and eight harmonics, `(count, 17)`, the first of them with that many periods."""
    angle = 2 * np.pi * periods * np.arange(count) / count
    harmonics = [wave(order * angle) for order in range(1, 9) for wave in (np.cos, np.sin)]
    return np.stack([np.ones(count), *harmonics], axis=1)


@pytest.mark.parametrize(
    ("name", "field_of_view", "yaw", "pitch"),
    # The released pitch is positive downwards.
    [("view_front_120", 120, 0, 0), ("view_yaw90_fov90", 90, 90, 0), ("view_yaw-135_pitch30_fov90", 90, -135, -30)],
)
def test_views_are_the_released_ones(
    released: dict[str, Rgb], name: str, field_of_view: float, yaw: float, pitch: float
) -> None:
    view = perspective_view(released["panorama"], np.radians(field_of_view), np.radians(yaw), np.radians(pitch), 224)
    assert view.shape == (224, 224, 3)
    error = np.abs(view[::4, ::4].astype(int) - released[name])
    assert (error.max(axis=-1) <= 1).mean() >= 0.999
    assert (error == 0).mean() > 0.999


def test_the_panorama_is_the_one_that_the_released_code_was_given(released: dict[str, Rgb], shared: Path) -> None:
    whole = load_file(shared / "parity" / "views.safetensors")
    assert_array_equal(released["panorama"], whole["panorama"])
    assert_array_equal(pad_square(released["panorama"]), whole["padded_square"])


def test_padding_centres_either_shape() -> None:
    assert_array_equal(np.flatnonzero(pad_square(np.ones((3, 8, 3), np.uint8)).any(axis=(1, 2))), [2, 3, 4])
    assert_array_equal(np.flatnonzero(pad_square(np.ones((8, 4, 3), np.uint8)).any(axis=(0, 2))), [2, 3, 4, 5])


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (-90, 30), (180, -45), (30, 85), (0, -90)])
def test_a_view_looks_where_it_is_told_to(azimuth: float, elevation: float) -> None:
    """A bright spot in a direction is at the centre of the view to that direction, over seam and poles."""
    target = unit_vector(*np.radians([azimuth, elevation]))
    near = panorama_directions(256, 512) @ target > np.cos(np.radians(6))
    panorama = np.repeat(near[..., None] * np.uint8(255), 3, axis=-1)
    view = perspective_view(panorama, np.radians(60), np.radians(azimuth), np.radians(elevation), 101)
    rows, columns = np.nonzero(view[..., 0] > 127)
    assert abs(rows.mean() - 50) < 1.5
    assert abs(columns.mean() - 50) < 1.5
    expected = 50 * np.tan(np.radians(6)) / np.tan(np.radians(30))
    assert_allclose([np.ptp(rows) / 2, np.ptp(columns) / 2], expected, atol=1.5)


def test_left_of_a_view_is_left_and_up_is_up() -> None:
    directions = panorama_directions(64, 128)
    panorama = np.rint(127.5 + 127 * directions).astype(np.uint8)[..., [1, 2, 0]]  # red: to the left, green: up
    view = perspective_view(panorama, np.radians(90), 0, 0, 33).astype(int)
    assert (np.diff(view[16, :, 0]) <= 0).all()
    assert (np.diff(view[:, 16, 1]) <= 0).all()
    assert view[16, 0, 0] - view[16, -1, 0] > 150
    assert view[0, 16, 1] - view[-1, 16, 1] > 150


def test_a_view_is_smooth_over_seam_and_pole() -> None:
    """No row or column of a view across the seam, or straight up, stands out against its neighbours."""
    for yaw, pitch in ((np.pi, 0.0), (0.7, np.pi / 2), (0.7, -np.pi / 2)):
        view = perspective_view(smooth(256, 512), np.radians(50), yaw, pitch, 120).astype(float)
        bend = np.abs(np.diff(view, n=2, axis=0)).max(), np.abs(np.diff(view, n=2, axis=1)).max()
        assert max(bend) < 6


def test_beyond_a_pole_lies_the_opposite_meridian() -> None:
    """Looking straight up at two halves, white where x > 0: the border runs straight through the pole, and the rows
    beside it undershoot on the black side alone, which needs the white ones from beyond the pole."""
    panorama = np.repeat(np.where(panorama_directions(8, 64)[..., :1] > 0, 200, 60).astype(np.uint8), 3, axis=-1)
    view = perspective_view(panorama, np.radians(8), 0, np.pi / 2, 41)[..., 0].astype(int)
    black, white = view[0, 20], view[-1, 20]  # Up in the view is back.
    assert black < 60
    assert white > 200


@pytest.mark.parametrize("field_of_view", [0.0, -1.0, np.pi, 7.0])
def test_impossible_fields_of_view_are_refused(field_of_view: float) -> None:
    with pytest.raises(ValueError, match="field of view"):
        perspective_view(smooth(16, 32), field_of_view, 0, 0, 8)


@settings(deadline=None)
@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_uv_of_a_direction_is_where_it_lies(u: float, v: float) -> None:
    assert_allclose(to_uv(unit_vector((0.5 - u) * 2 * np.pi, (v - 0.5) * np.pi)), (u, v), atol=1e-9)


def test_uv_follows_the_convention() -> None:
    assert_allclose(to_uv([[1, 0, 0], [0, 1, 0], [0, -1, 0]]), [[0.5, 0.25, 0.75], [0.5, 0.5, 0.5]])
    assert_allclose(to_uv([0, 0, 1])[1], 1)
    u, v = to_uv(panorama_directions(6, 12))
    assert_allclose(u, np.broadcast_to((np.arange(12) + 0.5) / 12, (6, 12)))
    assert_allclose(v, np.broadcast_to(1 - (np.arange(6)[:, None] + 0.5) / 6, (6, 12)))


def test_the_seam_is_wrapped() -> None:
    panorama = smooth(8, 16)
    wrapped = wrap_seam(panorama, 3)
    assert wrapped.shape == (8, 22, 3)
    assert_array_equal(wrapped[:, :3], panorama[:, -3:])
    assert_array_equal(wrapped[:, -3:], panorama[:, :3])


@pytest.mark.parametrize("size", [(64, 128), (50, 100), (256, 512)])
def test_resizing_commutes_with_rotation(size: tuple[int, int]) -> None:
    """A panorama turned by half is, made smaller or larger, the small one turned by half: the seam is no border."""
    height, width = size
    panorama = smooth(128, 256)
    first = np.roll(resize(panorama, height, width), width // 2, axis=1)
    second = resize(np.roll(panorama, 128, axis=1), height, width)
    assert np.abs(first.astype(int) - second).max() <= 1
    assert np.abs(first.astype(int) - np.roll(smooth(height, width), width // 2, axis=1)).mean() < 4


def test_resizing_does_not_alias() -> None:
    stripes = np.zeros((64, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resize(stripes, 20, 40).astype(int)) < 20


def test_inputs_of_the_released_vision_encoder(released: dict[str, Rgb]) -> None:
    inputs = cut(released["panorama"])
    assert {name: value.shape for name, value in inputs.items()} == dict.fromkeys(
        ("video_360", "video_fov"), (224, 224, 3)
    )
    assert not inputs["video_360"][:50].any()
    assert inputs["video_360"][62:162].any(axis=-1).all()
    assert np.abs(inputs["video_fov"][::4, ::4].astype(int) - released["view_front_120"]).max() <= 1
