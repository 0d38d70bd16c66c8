"""From what was measured on each scene to the tables of a model card, as Markdown.

Every figure that stands for a population has its 95 % interval: bootstrapped over scenes for medians and means,
Wilson's for rates.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from omniaudio.ambisonics import Floats
from omniaudio.errors import UserError

CONFIDENCE = 0.95
RESAMPLES = 2000
CHANCE_ANGULAR = np.pi / 2
PAPER_ANGULAR = 1.28
"""Mean ΔAngular in radians of the released OmniAudio on Sphere360-Bench, from the paper: another set of scenes."""


class Row(StrEnum):
    """Which sound was judged for a scene."""

    SYSTEM = "system"
    """What the model generated for it."""
    REFERENCE = "reference"
    """Its own sound: the best that a judge can say."""
    CODEC = "codec"
    """Its own sound, through the autoencoder: the best that the model can reach."""
    SHUFFLED = "shuffled"
    """What the model generated for another scene: chance."""


class Judged(BaseModel):
    """What the metrics say of one sound for one scene; `None` where a figure does not fit the kind of scene."""

    # Silence's level is −∞, which JSON has no number for.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    error_degrees: float | None = Field(None, ge=0, le=180)
    """Angle between the thing and its sound, over time for a moving one."""
    azimuth_error: float | None = Field(None, ge=0, le=np.pi)
    elevation_error: float | None = Field(None, ge=0, le=np.pi)
    angular_error: float | None = Field(None, ge=0, le=np.pi)
    """The paper's Δabs θ, Δabs φ and ΔAngular, in radians."""
    map_correlation: float | None = Field(None, ge=-1, le=1)
    map_auc: float | None = Field(None, ge=0, le=1)
    """CC and AUC of the energy map."""
    found_top10: bool | None = None
    """Whether YAMNet has the thing's class among its first ten."""
    class_divergence: float | None = Field(None, ge=0)
    """KL of YAMNet's class posteriors, in nats."""
    level_dbfs: float
    defects: list[str]


class SceneResult(BaseModel):
    """One held-out scene and what was heard for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scene: str
    kind: Literal["still", "moving", "two"]
    category: str
    """Class of the thing that sounds; of the first one, where there are two."""
    picture_split: Literal["seen", "held-out"]
    sound_split: Literal["seen", "held-out"]
    sounds: dict[Row, Judged]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, scale: float = 1.0, digits: int = 1) -> str:
        """`8.7 (7.9 to 9.6)`; the figures multiplied by `scale`."""
        value, low, high = (f"{scale * figure:.{digits}f}" for figure in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


def bootstrapped(values: Sequence[float] | Floats, statistic: Callable[..., Floats] = np.median) -> Estimate:
    """`statistic` (it takes an `axis`) of values `(n,)` with its percentile bootstrap interval; always the same one for
    the same values."""
    sample = _filled(values)
    if np.ptp(sample) == 0:
        value = float(sample[0])
        return Estimate(value, value, value)
    interval = stats.bootstrap(
        (sample,), statistic, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=0
    ).confidence_interval
    return Estimate(float(statistic(sample, axis=0)), float(interval.low), float(interval.high))


def rate(hits: Iterable[bool]) -> Estimate:
    """The share of true ones, 0 to 1, with Wilson's interval, which stays honest near 0 and 1."""
    flags = _filled([float(hit) for hit in hits])
    interval = stats.binomtest(int(flags.sum()), len(flags)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(float(flags.mean()), float(interval.low), float(interval.high))


def _filled(values: Sequence[float] | Floats) -> Floats:
    sample = np.asarray(values, float)
    if not sample.size:
        raise UserError("There is nothing to take a figure of; evaluate scenes of this kind first.")
    return sample


def _values(results: Iterable[SceneResult], row: Row, figure: str) -> Floats:
    """One figure of `Judged` over all scenes that have it."""
    found = (getattr(result.sounds[row], figure) for result in results if row in result.sounds)
    return np.array([value for value in found if value is not None], float)


# --- tables -----------------------------------------------------------------------------------------------------------


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown. A bar within a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def direction_table(results: Sequence[SceneResult]) -> str:
    """Angle between a thing and its sound, in degrees, for scenes with one source, by kind and row."""
    rows = []
    for kind in ("still", "moving"):
        of_kind = [result for result in results if result.kind == kind]
        for row in Row:
            errors = _values(of_kind, row, "error_degrees")
            if errors.size:
                below = rate(errors < 25)
                figures = [bootstrapped(errors).text(), bootstrapped(errors, np.mean).text()]
                figures += [f"{np.percentile(errors, 90):.1f}", below.text(100, 0)]
                rows.append([kind, row, str(errors.size), *figures])
    return markdown_table(["source", "sound", "scenes", "median °", "mean °", "90 % are below °", "below 25°, %"], rows)


def class_table(results: Sequence[SceneResult]) -> str:
    """How often YAMNet has the thing's class among its first ten, in %, by row and by whether the picture was seen."""
    rows = []
    for row in Row:
        cells = []
        for split in ("seen", "held-out"):
            hits = _values([result for result in results if result.picture_split == split], row, "found_top10")
            cells += [str(hits.size), rate(hits > 0).text(100, 0) if hits.size else "–"]
        rows.append([row, *cells])
    return markdown_table(["sound", "scenes", "pictures trained on, %", "scenes", "held-out pictures, %"], rows)


def category_table(results: Sequence[SceneResult]) -> str:
    """How often each class is found among the first ten, in %, one column a row of `Row`."""
    rows = []
    for category in sorted({result.category for result in results}):
        of_category = [result for result in results if result.category == category]
        hits = [_values(of_category, row, "found_top10") for row in Row]
        rows.append([category, str(len(of_category)), *(f"{100 * h.mean():.0f}" if h.size else "–" for h in hits)])
    return markdown_table(["class", "scenes", *Row], rows)


def paper_table(results: Sequence[SceneResult], frechet: dict[Row, float]) -> str:
    """The paper's metrics: mean errors in radians, with chance and the paper's own figure, maps, kind.

    `frechet` has the Fréchet distances on YAMNet's embeddings to the references: they belong to no single scene."""
    figures = ["azimuth_error", "elevation_error", "angular_error", "map_correlation", "map_auc", "class_divergence"]
    rows = []
    for row in Row:
        columns = [_values(results, row, figure) for figure in figures]
        cells = [bootstrapped(column, np.mean).text(digits=2) if column.size else "–" for column in columns]
        rows.append([row, *cells, f"{frechet[row]:.2f}" if row in frechet else "–"])
    rows.append(["chance", "–", "–", f"{CHANCE_ANGULAR:.2f}", "0.00", "0.50", "–", "–"])
    rows.append(["OmniAudio, in the paper, on Sphere360-Bench", "–", "–", f"{PAPER_ANGULAR:.2f}", "–", "–", "–", "–"])
    return (
        markdown_table(
            ["sound", "Δabs θ", "Δabs φ", "ΔAngular", "map CC", "map AUC", "KL (YAMNet)", "FD (YAMNet)"], rows
        )
        + "\nKL and FD are on YAMNet; the paper's KL is on PaSST, its FD on an embedding that it does not name: "
        "they do not compare.\n"
    )


def defect_table(results: Sequence[SceneResult]) -> str:
    """How many sounds have a defect, and how loud they are, by row."""
    rows = []
    for row in Row:
        judged = [result.sounds[row] for result in results if row in result.sounds]
        if judged:
            levels = np.array([sound.level_dbfs for sound in judged])
            bad = sum(bool(sound.defects) for sound in judged)
            rows.append([row, str(len(judged)), str(bad), f"{np.median(levels):.1f}", f"{levels.min():.1f}"])
    return markdown_table(["sound", "scenes", "with a defect", "median level, dBFS", "lowest, dBFS"], rows)


# --- targets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A figure that the model should reach."""

    what: str
    wanted: str
    measured: str
    reached: bool


def targets(results: Sequence[SceneResult]) -> list[Target]:
    """The draft model's targets against what it reached; a target without any scene to judge it by is left out."""
    found: list[Target] = []
    still = _values([r for r in results if r.kind == "still"], Row.SYSTEM, "error_degrees")
    if still.size:
        median, share = bootstrapped(still), rate(still < 25)
        found.append(Target("one still source: median", "10° or less", f"{median.text()}°", median.value <= 10))
        found.append(Target("one still source: below 25°", "90 %", f"{share.text(100, 0)} %", share.value >= 0.9))
    moving = _values([r for r in results if r.kind == "moving"], Row.SYSTEM, "error_degrees")
    if moving.size:
        median = bootstrapped(moving)
        found.append(Target("one moving source: median", "20° or less", f"{median.text()}°", median.value <= 20))
    for split, wanted in (("seen", 0.55), ("held-out", 0.30)):
        hits = _values([r for r in results if r.picture_split == split], Row.SYSTEM, "found_top10")
        if hits.size:
            share = rate(hits > 0)
            measured = f"{share.text(100, 0)} %"
            found.append(Target(f"class found, pictures {split}", f"{wanted:.0%}", measured, share.value >= wanted))
    return found


def target_table(results: Sequence[SceneResult]) -> str:
    """`targets` as a table."""
    rows = [[t.what, t.wanted, t.measured, "yes" if t.reached else "**no**"] for t in targets(results)]
    return markdown_table(["wanted of the system", "target", "measured", "reached"], rows)
