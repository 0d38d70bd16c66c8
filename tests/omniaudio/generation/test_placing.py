"""Placing: the harmonics by another library and by their sum, the bed by what a diffuse field has, levels by hand."""

import numpy as np
import pytest
import spaudiopy
from hypothesis import given
from hypothesis import strategies as st

from omniaudio.audio.ambisonics import encode, unit_vector
from omniaudio.generation.placing import BED_RANGE, SOURCE_RANGE, Diffuser, channels, file_level, harmonics
from omniaudio_client.options import MAX_ORDER

ORDERS = np.floor(np.sqrt(np.arange(channels(MAX_ORDER)))).astype(int)

directions = st.tuples(st.floats(-np.pi, np.pi), st.floats(-np.pi / 2, np.pi / 2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@given(directions)
def test_the_harmonics_are_those_of_another_library(direction: tuple[float, float]) -> None:
    azimuth, elevation = direction
    ours = harmonics(unit_vector([azimuth], [elevation]), MAX_ORDER)[0]
    n3d = spaudiopy.sph.sh_matrix(MAX_ORDER, azimuth, np.pi / 2 - elevation, "real")[0] * np.sqrt(4 * np.pi)
    np.testing.assert_allclose(ours, n3d / np.sqrt(2 * ORDERS + 1), atol=1e-6)


@given(directions, directions)
def test_orders_sum_to_legendre_polynomials(first: tuple[float, float], second: tuple[float, float]) -> None:
    """The addition theorem: what a beam in one direction hears of a wave from another depends on their angle alone."""
    a, b = unit_vector(*first), unit_vector(*second)
    products = (harmonics(a[None], MAX_ORDER) * harmonics(b[None], MAX_ORDER))[0]
    for order in range(MAX_ORDER + 1):
        legendre = np.polynomial.legendre.legval(a @ b, np.eye(order + 1)[order])
        assert products[order == ORDERS].sum() == pytest.approx(legendre, abs=1e-5)


def test_the_first_order_is_that_of_every_other_module() -> None:
    signal = np.ones(1, np.float32)
    for azimuth, elevation in [(0.3, 0.2), (-2.0, 1.0), (1.6, -0.7)]:
        gains = harmonics(unit_vector([azimuth], [elevation]), 1)[0]
        np.testing.assert_allclose(gains, encode(signal, azimuth, elevation)[:, 0], atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_bed_is_a_diffuse_field_with_the_sound_itself_in_w(order: int) -> None:
    sound = np.random.default_rng(1).standard_normal(96_000).astype(np.float32)
    field = Diffuser(48_000, order).process(sound)
    assert field.shape == (channels(order), len(sound))
    np.testing.assert_array_equal(field[0], sound)
    powers = np.square(field).mean(axis=1)
    np.testing.assert_allclose(10 * np.log10(powers * (2 * ORDERS[: len(field)] + 1)), 0, atol=0.7)
    assert np.abs(np.corrcoef(field) - np.eye(len(field))).max() < 0.1


def test_a_bed_is_the_same_however_it_is_cut() -> None:
    sound = np.random.default_rng(2).standard_normal(20_000).astype(np.float32)
    whole, diffuser = Diffuser(44_100, 1).process(sound), Diffuser(44_100, 1)
    cut = [diffuser.process(part) for part in np.split(sound, [100, 5000, 5001])]
    np.testing.assert_allclose(np.concatenate(cut, axis=1), whole, atol=1e-4)


def test_louder_kinds_are_louder_within_limits() -> None:
    for bed, limits in ((False, SOURCE_RANGE), (True, BED_RANGE)):
        levels = [file_level(spl, bed=bed) for spl in range(-20, 141, 5)]
        assert levels == sorted(levels)
        assert (levels[0], levels[-1]) == limits
    assert file_level(70, bed=False) == -23
    assert file_level(80, bed=False) - file_level(70, bed=False) == 5
    assert max(BED_RANGE) < min(SOURCE_RANGE), "what is seen is heard above what surrounds it"
