"""The report's figures on samples whose truth is known, and its tables."""

import numpy as np
import pytest
from scipy import stats

from omniaudio.errors import UserError
from omniaudio.evaluation import report

RNG = np.random.default_rng(9)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = stats.expon.median()
    intervals = [report.bootstrapped(RNG.exponential(size=60)) for _ in range(60)]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.85 <= covered <= 1
    assert all(interval.low <= interval.value <= interval.high for interval in intervals)


def test_the_same_values_give_the_same_interval() -> None:
    values = RNG.random(30)
    assert report.bootstrapped(values) == report.bootstrapped(values)
    assert report.bootstrapped([4.0, 4.0]) == report.Estimate(4, 4, 4)
    assert report.bootstrapped([4.0]) == report.Estimate(4, 4, 4)


def test_rates_have_wilsons_interval() -> None:
    eight_of_ten = report.rate([True] * 8 + [False] * 2)
    assert eight_of_ten.value == 0.8
    assert (eight_of_ten.low, eight_of_ten.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Newcombe (1998)
    assert report.rate([True] * 10).low == pytest.approx(0.7225, abs=1e-4)
    assert eight_of_ten.text(100, 0) == "80 (49 to 94)"


def test_nothing_gives_no_figure() -> None:
    for figure in (report.rate, report.bootstrapped):
        with pytest.raises(UserError, match="evaluate scenes"):
            figure([])


def test_a_bar_within_a_cell_does_not_end_it() -> None:
    assert report.markdown_table(["kind", "n"], [["bell | large", "2"]]) == (
        "| kind | n |\n| --- | --- |\n| bell \\| large | 2 |\n"
    )
