"""Chooses the bed from the whole panorama: sea, city, forest, a room …

The constants were measured on panoramas, see docs/recognition.md. ImageNet has no class for rain and few for forests,
so people have to choose these beds themselves.
"""

from typing import NamedTuple

import numpy as np

from omniaudio.recognition.kinds import Kinds
from omniaudio.recognition.networks import Float32
from omniaudio.video.panorama import Rgb

USUAL = {
    "interior": 0.06,
    "sea_waves": 0.05,
    "stream": 0.025,
    "wind": 0.045,
    "forest": 0.012,
    "meadow": 0.03,
    "traffic": 0.045,
    "crowd": 0.04,
}
"""The share of probability that the classes of each bed have in panoramas without it. A bed is judged by its ratio to
this; the first of equals wins."""

NIGHT, OUTSIDE = "night", ("sea_waves", "stream", "wind", "forest", "meadow", "traffic")
CROWD = "crowd"

_STANDS_OUT = 1.3
"""Ratio to the usual share below which no bed is certain."""
UNSURE = 0.3
"""Confidence of the likeliest bed if none stands out."""
QUIETER = 10.0
"""Decibels by which a bed is below its kind's level if none stands out."""
_DARK = 60
"""Mean level (0 to 255) of the panorama's lower half below which an outdoor scene is at night."""
_MANY_PEOPLE = 6


class BedEvidence(NamedTuple):
    """What one frame shows of the bed."""

    shares: Float32
    """Mean probability of each kind over the panorama's windows, `(kinds,)`."""
    ground: float
    """Mean level of the lower half, 0 to 255."""
    people: int


def evidence(shares: Float32, panorama: Rgb, people: int) -> BedEvidence:
    """Collects what a panorama `(height, width, 3)` shows of the bed."""
    return BedEvidence(shares, float(panorama[panorama.shape[0] // 2 :: 4, ::4].mean()), people)


def choose(looks: list[BedEvidence], kinds: Kinds) -> tuple[str, float]:
    """The kind of the bed and its confidence, from the frames looked at."""
    shares = np.mean([look.shares for look in looks], axis=0)
    ratios = {bed: float(shares[kinds.ids.index(bed)]) / usual for bed, usual in USUAL.items()}
    if np.median([look.people for look in looks]) >= _MANY_PEOPLE:
        return CROWD, 0.8
    best = max(ratios, key=lambda bed: ratios[bed])
    if best in OUTSIDE and np.median([look.ground for look in looks]) < _DARK:
        return NIGHT, 0.6
    if ratios[best] < _STANDS_OUT:
        return best, UNSURE
    return best, ratios[best] / sum(sorted(ratios.values())[-3:])
