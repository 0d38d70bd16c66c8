"""Finds what sounds in a panorama, and where, with the paper's two branches.

The panorama branch runs the classifier once over the band around the horizon. The mean of its patches over a window
classifies that window, so one pass covers every place and size. The perspective branch classifies close views of the
best places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from omniaudio.audio.ambisonics import Floats, angles, unit_vector
from omniaudio.recognition import beds, people
from omniaudio.recognition.drawings import DrawingsHead
from omniaudio.recognition.kinds import IMAGENET_CLASSES, Kinds
from omniaudio.recognition.networks import Float32, Networks
from omniaudio.recognition.views import Look, views
from omniaudio.video.panorama import Rgb, resize, wrap_seam

PATCH = 32
"""Pixels of the panorama that one patch of the classifier covers."""
ROWS, COLUMNS = 28, 56
"""Patches of the panorama; each takes 6.4°."""
BAND = slice(6, 22)
"""Rows that are used, from 51° up to 51° down: neither the sky nor the tripod."""
MARGIN = 5
"""Patches repeated beyond each side of the seam."""
WINDOWS = (4, 5, 7, 9)
"""Sides of the windows in patches: 26° to 58°."""

BACKGROUND = 0.9
"""A kind's background is this quantile of its share over the panorama's windows."""
PLACES = 4
"""Places that get close views."""
AROUND, APART = np.radians(20), np.radians(25)
"""The windows within AROUND of the best one determine a source's direction; two sources are at least APART."""
FIELDS = np.radians([45.0, 30.0, 65.0])
WORTH_MORE_VIEWS = 0.14
"""Confidence after the first view above which the other views are worth their time: on the development scenes, nothing
below it became a source."""
VIEW = 224
WINDOW_WEIGHT = 0.5
"""Weight of the panorama branch's window, relative to the mean of the views."""
PRIOR = np.radians(25)
"""Standard deviation of the elevation of sources about the horizon."""

PLAYED = frozenset(
    [
        "guitar",
        "strings",
        "piano",
        "organ",
        "accordion",
        "brass",
        "saxophone",
        "woodwind",
        "drums",
        "mallets",
        "steel_drum",
        "singing",
    ]
)
"""Kinds whose sound is made by a person in the same place."""
PLAYED_FROM = 0.35
"""Confidence of an instrument above which the person plays it instead of speaking."""
MIN_CLEAR = 0.1
"""Share of windows without a source above which only these determine the bed."""

EVEN, SPREAD = 0.35, 0.12
"""Centre and scale of the logistic function from a kind's excess to its confidence: on the development scenes, 3 of 10
kinds are right at 0.2, and 8 of 10 at 0.5."""
MIN_CONFIDENCE = 0.2
"""Confidence that makes a source: 9 of 10 development panoramas without sources stay below."""


@dataclass(frozen=True)
class Sighting:
    """One source seen in one frame."""

    direction: Floats
    """Unit vector `(3,)`."""
    size: float
    """Apparent size in radians."""
    shares: Float32
    """Share of each kind above the background `(kinds,)`."""
    confidence: float


class Sighted(NamedTuple):
    """What one frame shows."""

    sources: list[Sighting]
    bed: beds.BedEvidence


class _Windows(NamedTuple):
    """All windows of the panorama branch."""

    shares: Float32
    """Probability of each kind `(windows, kinds)`."""
    directions: Floats
    """Unit vectors of their centres `(windows, 3)`."""
    sizes: Floats
    """Radians `(windows,)`."""
    background: Float32
    """The share that each kind has nearly everywhere `(kinds,)`: a false alarm, to be subtracted."""


class _Place(NamedTuple):
    """A place where the panorama branch expects a source."""

    direction: Floats
    size: float
    excess: Float32
    """Share of each kind above the background in its window, `(kinds,)`."""


class Finder:
    """Finds what sounds in panoramas."""

    def __init__(self, networks: Networks, kinds: Kinds) -> None:
        self._networks = networks
        self._kinds = kinds
        members = np.zeros((len(kinds.columns()), len(kinds.kinds) + 1), np.float32)
        members[np.arange(len(members)), kinds.columns()] = 1
        self._members = members[:, :-1]
        self._drawings = DrawingsHead.load(kinds)
        self._is_source = np.array([not kind.bed for kind in kinds.kinds])

    def look(self, panorama: Rgb) -> Sighted:
        """Finds sources and the evidence for a bed in a panorama `(height, width, 3)`."""
        large = resize(panorama, ROWS * PATCH, COLUMNS * PATCH)
        windows = self._windows(large)
        named = self._named(large, windows.background, self._places(windows))
        found = people.find(self._networks, panorama)
        seen = _apart([*named, *self._speakers(found, named)])
        return Sighted(seen, beds.evidence(_around(windows, seen).mean(axis=0), panorama, len(found)))

    # --- the panorama branch -----------------------------------------------------------------------------------------

    def _windows(self, large: Rgb) -> _Windows:
        band = wrap_seam(large, MARGIN * PATCH)[BAND.start * PATCH : BAND.stop * PATCH]
        patches = self._networks.classify(band[None])[0]
        sums = np.pad(patches, ((1, 0), (1, 0), (0, 0))).cumsum(axis=0).cumsum(axis=1)
        parts = [self._of_side(sums, side) for side in WINDOWS]
        shares, directions, sizes = (np.concatenate(part) for part in zip(*parts, strict=True))
        background = np.quantile(shares, BACKGROUND, axis=0).astype(np.float32)
        return _Windows(shares, directions, sizes, background)

    def _of_side(self, sums: Float32, side: int) -> tuple[Float32, Floats, Floats]:
        """All windows of one side length, from the running sums of the band's patches."""
        means = (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2
        middles = np.arange(means.shape[1]) + side / 2 - MARGIN
        inside = (middles >= 0) & (middles < COLUMNS)
        step = np.pi / ROWS
        elevation = np.pi / 2 - (BAND.start + np.arange(len(means)) + side / 2) * step
        elevations, azimuths = np.meshgrid(elevation, np.pi - middles[inside] * step, indexing="ij")
        shares = self.shares(np.asarray(means[:, inside].reshape(-1, means.shape[-1]), np.float32))
        directions = unit_vector(azimuths.ravel(), elevations.ravel())
        return shares, directions, np.full(len(shares), side * step)

    def shares(self, seen: Float32) -> Float32:
        """Shares of the kinds `(…, kinds)` from mean logits and features `(…, 2280)`.

        The larger of two: the sum over ImageNet's classes, for photographs, and the head for drawings.
        """
        logits, features = seen[..., :IMAGENET_CLASSES], seen[..., IMAGENET_CLASSES:]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        photographed: Float32 = (powers @ self._members) / powers.sum(axis=-1, keepdims=True)
        if not features.shape[-1]:
            return photographed
        return np.maximum(photographed, self._drawings.shares(features)[..., :-1])

    def _places(self, windows: _Windows) -> list[_Place]:
        """The most likely places of sources, no two near each other."""
        excess = self._excess(windows.shares, windows.background)
        scores = excess.max(axis=1) * _prior(windows.directions)
        places = []
        for _ in range(PLACES):
            best = int(scores.argmax())
            near = windows.directions @ windows.directions[best] > np.cos(AROUND)
            weights = np.where(near, excess[:, int(excess[best].argmax())], 0.0) ** 2
            if not weights.sum() > 0:
                break
            direction = weights @ windows.directions
            direction /= np.linalg.norm(direction)
            size = float(np.exp(np.average(np.log(windows.sizes), weights=weights)))
            places.append(_Place(direction, size, excess[best]))
            scores = np.where(near | (windows.directions @ direction > np.cos(APART)), 0.0, scores)
        return places

    # --- the perspective branch --------------------------------------------------------------------------------------

    def _named(self, large: Rgb, background: Float32, places: list[_Place]) -> list[Sighting]:
        """Looks closely at places: one view of each, and the other views if the first one shows something."""
        first = self._looked(large, places, FIELDS[:1])
        worth = [
            index
            for index, place in enumerate(places)
            if self._sighting(place, first[index, 0], background).confidence >= WORTH_MORE_VIEWS
        ]
        others = self._looked(large, [places[index] for index in worth], FIELDS[1:])
        return [
            self._sighting(places[index], (first[index, 0] + more.sum(axis=0)) / len(FIELDS), background)
            for index, more in zip(worth, others, strict=True)
        ]

    def _looked(self, large: Rgb, places: list[_Place], fields: Floats) -> Float32:
        """Shares of the kinds in views of places, `(places, fields, kinds)`. `fields` are fields of view in radians."""
        if not places:
            return np.zeros((0, len(fields), len(self._kinds.kinds)), np.float32)
        azimuths, elevations = angles(np.array([place.direction for place in places]))
        looks = [
            Look(float(azimuth), float(elevation), float(field))
            for azimuth, elevation in zip(azimuths, elevations, strict=True)
            for field in fields
        ]
        seen = self._networks.classify(views(large, looks, VIEW)).mean(axis=(1, 2))
        return self.shares(seen).reshape(len(places), len(fields), -1)

    def _sighting(self, place: _Place, seen: Float32, background: Float32) -> Sighting:
        both = self._excess(seen, background) + WINDOW_WEIGHT * place.excess
        shares = np.asarray(both / (1 + WINDOW_WEIGHT), np.float32)
        there = float(shares.max()) * float(_prior(place.direction[None])[0])
        confidence = 1 / (1 + np.exp(-(there - EVEN) / SPREAD))
        return Sighting(place.direction, place.size, shares, float(confidence))

    def _excess(self, shares: Float32, background: Float32) -> Float32:
        """Shares above the background; 0 for beds."""
        return np.asarray(np.maximum(shares - background, 0) * self._is_source, np.float32)

    def _speakers(self, found: Sequence[people.Person], sightings: Sequence[Sighting]) -> list[Sighting]:
        """The people found, except those at an instrument or a microphone, who play or sing."""
        played = [
            one.direction
            for one in sightings
            if one.confidence >= PLAYED_FROM and self._kinds.ids[int(one.shares.argmax())] in PLAYED
        ]
        speakers = map(self._person, found)
        return [one for one in speakers if all(one.direction @ other < np.cos(APART) for other in played)]

    def _person(self, person: people.Person) -> Sighting:
        shares = np.zeros(len(self._kinds.kinds), np.float32)
        shares[self._kinds.ids.index("speech")] = person.score
        return Sighting(unit_vector(person.azimuth, person.elevation), person.size, shares, person.score)


def _prior(directions: Floats) -> npt.NDArray[np.float64]:
    """How likely a source is in these directions; 1 at the horizon."""
    elevation = np.arcsin(np.clip(directions[:, 2], -1, 1))
    return np.asarray(np.exp(-0.5 * (elevation / PRIOR) ** 2))


def _apart(sightings: Sequence[Sighting]) -> list[Sighting]:
    """The sightings with enough confidence, the highest first; of several near each other only the first."""
    kept: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda one: -one.confidence):
        if sighting.confidence >= MIN_CONFIDENCE and all(
            sighting.direction @ other.direction < np.cos(APART) for other in kept
        ):
            kept.append(sighting)
    return kept


def _around(windows: _Windows, sightings: Sequence[Sighting]) -> Float32:
    """The shares `(windows, kinds)` of the windows without a source, which show the surroundings; those of all windows
    if hardly any is without one."""
    clear = np.ones(len(windows.shares), bool)
    for sighting in sightings:
        apart = np.arccos(np.clip(windows.directions @ sighting.direction, -1, 1))
        clear &= apart > (sighting.size + windows.sizes) / 2
    return windows.shares[clear] if clear.mean() > MIN_CLEAR else windows.shares
