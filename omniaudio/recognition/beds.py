"""What surrounds the listener, from the whole panorama: sea, city, forest, a room …

Measured on panoramas, see docs/recognition.md. ImageNet has no rain and hardly a forest: a person chooses those.
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
"""The share of a panorama's probability that goes to each bed's classes where it is not there: what stands out counts
in proportion. Of those that are alike the first counts."""

NIGHT, OUTSIDE = "night", ("sea_waves", "stream", "wind", "forest", "meadow", "traffic")
CROWD = "crowd"

_STANDS_OUT = 1.3
"""Times the usual share; below that nothing is sure."""
UNSURE = 0.3
"""Confidence where nothing stands out: a room where it looks most like one, else the likeliest place outside."""
QUIETER = 10.0
"""Decibels that a bed is below its kind's level where nothing stands out."""
_DARK = 60
"""Mean level, of 255, of the panorama's lower half below which it is night outside."""
_MANY_PEOPLE = 6


class BedEvidence(NamedTuple):
    """What one look at a panorama says of the bed."""

    shares: Float32
    """Mean probability of each kind over the panorama's windows `(kinds,)`."""
    ground: float
    """Mean level of the lower half, 0 to 255."""
    people: int


def evidence(shares: Float32, panorama: Rgb, people: int) -> BedEvidence:
    return BedEvidence(shares, float(panorama[panorama.shape[0] // 2 :: 4, ::4].mean()), people)


def choose(looks: list[BedEvidence], kinds: Kinds) -> tuple[str, float]:
    """The bed's kind and how sure it is, from looks at a clip."""
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
