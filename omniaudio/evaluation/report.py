"""Estimates with their 95 % intervals, and tables of them in Markdown.

Intervals are bootstrapped over scenes for medians and means, Wilson's for rates.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from omniaudio.audio.ambisonics import Floats
from omniaudio.errors import UserError

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, scale: float = 1.0, digits: int = 1) -> str:
        """Format as `8.7 (7.9 to 9.6)`, multiplied by `scale`."""
        value, low, high = (f"{scale * figure:.{digits}f}" for figure in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


def bootstrapped(values: Sequence[float] | Floats, statistic: Callable[..., Floats] = np.median) -> Estimate:
    """Estimate `statistic` (which takes an `axis`) of values `(n,)` with its percentile bootstrap interval;
    deterministic for equal values."""
    sample = _filled(values)
    if np.ptp(sample) == 0:
        value = float(sample[0])
        return Estimate(value, value, value)
    interval = stats.bootstrap(
        (sample,), statistic, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=0
    ).confidence_interval
    return Estimate(float(statistic(sample, axis=0)), float(interval.low), float(interval.high))


def rate(hits: Iterable[bool]) -> Estimate:
    """Estimate the share of hits, 0 to 1, with Wilson's interval, which stays valid near 0 and 1."""
    flags = _filled([float(hit) for hit in hits])
    interval = stats.binomtest(int(flags.sum()), len(flags)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(float(flags.mean()), float(interval.low), float(interval.high))


def _filled(values: Sequence[float] | Floats) -> Floats:
    sample = np.asarray(values, float)
    if not sample.size:
        raise UserError("There are no values to estimate from; evaluate scenes of this kind first.")
    return sample


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table in Markdown. Bars within cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
