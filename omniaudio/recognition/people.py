"""Finds people with the detector, on the panorama and in views of it.

The detector's outputs are as in Li et al., "Generalized Focal Loss" (2020): the distance of each side of a box from the
patch's centre is a distribution over 0 to 10 strides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from omniaudio.recognition.networks import Float32, Networks
from omniaudio.recognition.views import Look, views
from omniaudio.video.panorama import Rgb, resize, wrap_seam

PERSON = 0
"""COCO's first class."""

STRIDES = (8, 16, 32)
_BINS = np.arange(11, dtype=np.float32)

HEIGHT, WIDTH, MARGIN = 416, 832, 96
"""Size of the panorama for the detector in pixels, and how much is repeated beyond each side of the seam."""

_VIEW = 416
_VIEW_FIELDS = (40.0, 110.0)
_AROUND = 2.2
"""A close view of a person has a field of view of so many times its size, within these limits in degrees."""

PROPOSED_AT, SURE_AT = 0.35, 0.5
"""Score on the panorama that deserves a close view, and score in that view that makes a person."""
_MAX_SIZE = np.radians(75)
"""Whoever holds or wears the camera appears larger, and is not heard from one direction."""
_CLOSER_LOOKS = 4
_OVERLAP = 0.5


class Box(NamedTuple):
    """A detected box: edges in pixels, and score."""

    left: float
    top: float
    right: float
    bottom: float
    score: float


class Person(NamedTuple):
    """A detected person. Angles in radians."""

    azimuth: float
    elevation: float
    size: float
    score: float


def find(networks: Networks, panorama: Rgb) -> list[Person]:
    """The people in a panorama `(height, width, 3)`, by falling score.

    Close views of the largest reject coats on hooks; the others keep their score on the panorama."""
    shown = wrap_seam(resize(panorama, HEIGHT, WIDTH), MARGIN)
    proposed = [_person(box) for box in boxes(networks.detect(shown[None]), PROPOSED_AT) if _on_panorama(box)]
    proposed = [person for person in proposed if person.size < _MAX_SIZE]
    proposed.sort(key=lambda person: -person.size)
    found = [
        closer
        for person in proposed[:_CLOSER_LOOKS]
        if (closer := _closer(networks, panorama, person)) and closer.score >= SURE_AT
    ]
    found += [person for person in proposed[_CLOSER_LOOKS:] if person.score >= SURE_AT]
    return sorted(found, key=lambda person: -person.score)


def boxes(outputs: Sequence[Float32], min_score: float) -> list[Box]:
    """The people that the detector's outputs show with a score of `min_score` or more, each once."""
    found: list[Box] = []
    for stride, sides, classes in zip(STRIDES, outputs[::2], outputs[1::2], strict=True):
        scores = classes[0, PERSON]
        for row, column in np.argwhere(scores >= min_score):
            logits = sides[0, :, row, column].reshape(4, len(_BINS))
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            left, top, right, bottom = (shares @ _BINS) / shares.sum(axis=1) * stride
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            found.append(Box(x - left, y - top, x + right, y + bottom, float(scores[row, column])))
    kept: list[Box] = []
    for box in sorted(found, key=lambda box: -box.score):
        if all(_overlap(box, other) < _OVERLAP for other in kept):
            kept.append(box)
    return kept


def _overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (first, second)]
    return float(both / (sum(areas) - both))


def _on_panorama(box: Box) -> bool:
    """Whether its centre lies on the panorama, not in the margin, which repeats the other side."""
    return MARGIN <= (box.left + box.right) / 2 < MARGIN + WIDTH


def _person(box: Box) -> Person:
    degrees = np.pi / HEIGHT
    azimuth = np.pi - ((box.left + box.right) / 2 - MARGIN) * degrees
    elevation = np.pi / 2 - (box.top + box.bottom) / 2 * degrees
    size = max((box.right - box.left) * np.cos(elevation), box.bottom - box.top) * degrees
    return Person(float(azimuth), float(elevation), float(size), box.score)


def _closer(networks: Networks, panorama: Rgb, person: Person) -> Person | None:
    """The person with the score of a close view; None if that shows nobody in its centre."""
    field = float(np.clip(_AROUND * person.size, *np.radians(_VIEW_FIELDS)))
    shown = views(panorama, [Look(person.azimuth, person.elevation, field)], _VIEW)
    middle = _VIEW / 2
    there = [
        box
        for box in boxes(networks.detect(shown), PROPOSED_AT)
        if box.left < middle < box.right and box.top < middle < box.bottom
    ]
    return person._replace(score=max(box.score for box in there)) if there else None
