"""The report's figures on samples whose truth is known, and its tables on a small evaluation."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from omniaudio.errors import UserError
from omniaudio.evaluation import report
from omniaudio.evaluation.report import Judged, Row, SceneResult

RNG = np.random.default_rng(9)


def scene(number: int, kind: str = "still", error: float = 5, found: bool = True, split: str = "seen") -> SceneResult:
    system = Judged(
        error_degrees=error, angular_error=np.radians(error), found_top10=found, level_dbfs=-20 - number, defects=[]
    )
    reference = Judged(error_degrees=1, found_top10=True, level_dbfs=-20, defects=[])
    return SceneResult(
        scene=f"{kind}-{number}",
        kind=kind,
        category="dog" if number % 2 else "bell | large",
        picture_split=split,
        sound_split="held-out",
        sounds={Row.SYSTEM: system, Row.REFERENCE: reference},
    )


RESULTS = [
    *(scene(n, error=degrees, found=n < 6) for n, degrees in enumerate([2, 4, 6, 8, 9, 11, 12, 14, 20, 60])),
    *(scene(n, "moving", error=30, found=False, split="held-out") for n in range(4)),
]


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


def cells(table: str, *first: str) -> list[str]:
    """The cells of the one row that starts with `first`."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:1] == "|"]
    (found,) = [row for row in rows if row[: len(first)] == list(first)]
    return found


def test_direction_table() -> None:
    table = report.direction_table(RESULTS)
    still = cells(table, "still", "system")
    assert still[2] == "10"
    assert still[3].startswith("10.0 (")
    assert still[4].startswith("14.6 (")
    assert still[5:] == ["24.0", "90 (60 to 98)"]
    assert cells(table, "moving", "system")[3] == "30.0 (30.0 to 30.0)"
    assert cells(table, "still", "reference")[3] == "1.0 (1.0 to 1.0)"
    assert "codec" not in table  # nothing was judged, so nothing is claimed


def test_class_tables() -> None:
    table = report.class_table(RESULTS)
    assert cells(table, "system") == ["system", "10", "60 (31 to 83)", "4", "0 (0 to 49)"]
    assert cells(table, "shuffled") == ["shuffled", "0", "–", "0", "–"]
    assert cells(report.category_table(RESULTS), "dog") == ["dog", "7", "43", "100", "–", "–"]
    assert "bell \\| large" in report.category_table(RESULTS)


def test_paper_table_says_what_it_is_not() -> None:
    table = report.paper_table(RESULTS, {Row.SYSTEM: 12.345})
    row = cells(table, "system")
    assert row[3].startswith("0.33 (")
    assert row[-1] == "12.35"
    assert cells(table, "chance")[3] == "1.57"
    assert "do not compare" in table


def test_targets_are_judged() -> None:
    reached = {target.what: target.reached for target in report.targets(RESULTS)}
    assert reached == {
        "one still source: median": True,
        "one still source: below 25°": True,
        "one moving source: median": False,
        "class found, pictures seen": True,
        "class found, pictures held-out": False,
    }
    assert report.target_table(RESULTS).count("**no**") == 2
    assert report.targets([]) == []


def test_defects_are_counted() -> None:
    silent = RESULTS[0].model_copy(
        update={"sounds": {Row.SYSTEM: Judged(level_dbfs=-np.inf, defects=["silent: W at -inf dBFS"])}}
    )
    row = cells(report.defect_table([silent, *RESULTS[1:3]]), "system")
    assert row == ["system", "3", "1", "-22.0", "-inf"]
    assert SceneResult.model_validate_json(silent.model_dump_json()) == silent


def test_records_refuse_what_cannot_be() -> None:
    for wrong in ({"error_degrees": 181}, {"error_degrees": np.nan}, {"map_auc": 1.2}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            Judged(level_dbfs=-20, defects=[], **wrong)
