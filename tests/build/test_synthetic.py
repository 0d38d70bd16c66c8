"""Sounds made by formulas: of the length asked for, never silent or broken, no two alike, where they should be loud."""

import sys

import numpy as np
import pytest

from support.paths import REPOSITORY

# Last, since the recipe has modules of the same names as the tests' own.
sys.path.append(str(REPOSITORY / "build" / "draft_model"))
from synthetic import MADE


@pytest.mark.parametrize("formula", MADE)
def test_a_formula_gives_a_sound_of_that_length(formula: str) -> None:
    first = MADE[formula](2.5, np.random.default_rng(0))
    second = MADE[formula](2.5, np.random.default_rng(1))
    assert first.shape == second.shape == (110_250,)
    assert np.isfinite(first).all()
    assert first.std() > 1e-3
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


@pytest.mark.parametrize(
    ("formula", "low", "high"),
    [("crickets", 3500, 6000), ("church_bell", 150, 6000), ("bicycle_bell", 2000, 13_000), ("infant", 350, 4000)],
)
def test_a_formula_sounds_where_its_kind_does(formula: str, low: float, high: float) -> None:
    power = np.abs(np.fft.rfft(MADE[formula](2.5, np.random.default_rng(0)))) ** 2
    hertz = np.fft.rfftfreq(110_250, 1 / 44_100)
    assert power[(hertz > low) & (hertz < high)].sum() > 0.8 * power.sum()
