"""Tracks sightings of single frames to sources through time, with a kind, a smooth path, a beginning and an end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from omniaudio.audio.ambisonics import Floats, angle_between, angles
from omniaudio.recognition.finder import Sighting
from omniaudio.recognition.kinds import Kinds
from omniaudio.recognition.networks import Float32
from omniaudio.recognition.sources import Place, Source

STEP = np.radians(35)
"""How far a source may be from its expected direction at the next look; large ones may be further, by their size."""
LIKE, MUCH_ALIKE = 0.15, 0.5
"""Likeness of the kinds of two sightings, 0 to 1, above which they may be one source; and above which it may move twice
as far."""
LOST_AFTER = 2
"""Looks in a row without a source after which its track ends."""
MIN_SEEN = 0.5
"""Share of a track's looks that have to see the source; less is chance."""
SINGLE = 0.5
"""Confidence required of a source that only one of several looks sees."""
SMOOTHING = np.array([0.25, 0.5, 0.25])
"""Weights of a value and its neighbours in time."""
STILL = np.radians(4)
"""A source that stays within this angle of one direction does not move."""
WALKS, FAR = np.radians(2), np.radians(15)
"""A person who moves by so much per second, and by so much in all, walks rather than speaks."""


@dataclass
class Track:
    """One source through the looks at a clip."""

    looks: list[int]
    seen: list[Sighting]
    evidence: Float32 = field(repr=False)
    """Sum of the kinds' shares over the looks, `(kinds,)`."""

    @property
    def confidence(self) -> float:
        return float(np.mean([sighting.confidence for sighting in self.seen]))

    def add(self, look: int, sighting: Sighting) -> None:
        self.looks.append(look)
        self.seen.append(sighting)
        self.evidence = self.evidence + sighting.shares

    def expected(self, look: int) -> Floats:
        """Its expected direction at a look, if it moves on as before."""
        last = self.seen[-1].direction
        if len(self.seen) < 2:
            return last
        before = self.seen[-2].direction
        steps = (look - self.looks[-1]) / (self.looks[-1] - self.looks[-2])
        ahead = last + (last - before) * steps
        length = float(np.linalg.norm(ahead))
        return ahead / length if length > 0.1 else last


def follow(looks: Sequence[Sequence[Sighting]]) -> list[Track]:
    """Tracks the sightings of looks in order of time. Returns the tracks by falling confidence."""
    ended: list[Track] = []
    going: list[Track] = []
    for look, sightings in enumerate(looks):
        ended += [track for track in going if look - track.looks[-1] > LOST_AFTER]
        going = [track for track in going if look - track.looks[-1] <= LOST_AFTER]
        free = list(range(len(sightings)))
        pairs = [
            (cost, number, which)
            for number, track in enumerate(going)
            for which in free
            if (cost := _cost(track, look, sightings[which])) is not None
        ]
        taken: set[int] = set()
        for _, number, which in sorted(pairs):
            if number not in taken and which in free:
                going[number].add(look, sightings[which])
                taken.add(number)
                free.remove(which)
        going += [Track([look], [sightings[which]], sightings[which].shares) for which in free]
    real = [track for track in ended + going if _is_real(track, len(looks))]
    return sorted(real, key=lambda track: -track.confidence)


def _cost(track: Track, look: int, sighting: Sighting) -> float | None:
    """How badly a sighting continues a track; None if it cannot."""
    # A source may have stopped, or may have been seen first at one end and then at the other.
    near = max(float(ahead @ sighting.direction) for ahead in (track.expected(look), track.seen[-1].direction))
    angle = float(np.arccos(np.clip(near, -1, 1)))
    likeness = _likeness(track.evidence, sighting.shares)
    reach = max(STEP, 0.75 * sighting.size) * (look - track.looks[-1]) * (2 if likeness > MUCH_ALIKE else 1)
    if angle > reach or likeness < LIKE:
        return None
    return float(angle / reach) - likeness


def _likeness(first: Float32, second: Float32) -> float:
    """Bhattacharyya coefficient of two distributions, 0 to 1."""
    total = float(first.sum() * second.sum())
    return float(np.sqrt(first * second).sum() / np.sqrt(total)) if total > 0 else 0.0


def _is_real(track: Track, looks: int) -> bool:
    span = track.looks[-1] - track.looks[0] + 1
    if len(track.looks) == 1:
        return looks == 1 or track.confidence >= SINGLE
    return len(track.looks) / span >= MIN_SEEN


def source(track: Track, times: Sequence[float], span: tuple[float, float], kinds: Kinds) -> Source:
    """Turns a track into a source of a clip, from the `times` of its looks and the `span` that they represent.

    The source begins halfway between the first look that shows it and the one before, and ends alike."""
    not_beds = np.array([not kind.bed for kind in kinds.kinds])
    kind = kinds.kinds[int((track.evidence * not_beds).argmax())]
    at = np.array([times[look] for look in track.looks])
    if kind.id == "speech" and _walks(track, at):
        kind = kinds["footsteps"]
    directions = _smooth(np.array([sighting.direction for sighting in track.seen]))
    sizes = _smooth(np.log([[sighting.size] for sighting in track.seen]))[:, 0]
    first, last = track.looks[0], track.looks[-1]
    start = span[0] if first == 0 else (times[first - 1] + times[first]) / 2
    end = span[1] if last == len(times) - 1 else (times[last] + times[last + 1]) / 2
    mean = directions.mean(axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-9)
    if float((directions @ mean).min()) > np.cos(STILL):
        at, directions, sizes = np.array([start, end]), np.stack([mean, mean]), np.full(2, sizes.mean())
    else:
        begins = _ahead(at[1], at[0], start, directions[1], directions[0])
        ends = _ahead(at[-2], at[-1], end, directions[-2], directions[-1])
        at = np.array([start, *at, end])
        directions = np.stack([begins, *directions, ends])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        sizes = np.array([sizes[0], *sizes, sizes[-1]])
    azimuths, elevations = np.degrees(angles(directions))
    degrees = np.degrees(np.exp(sizes))
    rows = np.column_stack([at, azimuths, elevations, degrees]).round(2).tolist()
    places = tuple(Place(time=t, azimuth=a, elevation=e, size=size) for t, a, e, size in rows)
    level = kind.level_at(max(place.size for place in places))
    return Source(kind=kind.id, confidence=round(track.confidence, 3), path=places, level=round(level, 1))


def _walks(track: Track, at: Floats) -> bool:
    """Whether a person, seen at the times `at`, walks."""
    way = float(angle_between(track.seen[0].direction, track.seen[-1].direction))
    return bool(way > FAR and way / float(at[-1] - at[0]) > WALKS)


def _ahead(before: float, now: float, then: float, was: Floats, here: Floats) -> Floats:
    """Extrapolates a motion: from the directions `was` at `before` and `here` at `now` to the time `then`."""
    return here + (here - was) * min(1.0, (then - now) / (now - before))


def _smooth(values: Floats) -> Floats:
    """Smooths `(looks, dimensions)` over time; the first and the last value stay."""
    if len(values) < 3:
        return values.copy()
    mixed = values.copy()
    mixed[1:-1] = SMOOTHING[0] * values[:-2] + SMOOTHING[1] * values[1:-1] + SMOOTHING[2] * values[2:]
    return mixed
