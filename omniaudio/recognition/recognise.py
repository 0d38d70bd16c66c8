"""From a clip to its sources: looks at some of its frames, followed through time."""

from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path

import numpy as np

from omniaudio import video
from omniaudio.panorama import Picture
from omniaudio.recognition import beds, tracking
from omniaudio.recognition.finder import Finder, Sighted
from omniaudio.recognition.kinds import Kinds, load
from omniaudio.recognition.networks import Networks
from omniaudio.recognition.sources import Bed, Sources
from omniaudio.sphere import check_sphere

LOOK_SECONDS = 2.0
"""Between two looks at a video; what moves is between them where the path leads."""
MOST_LOOKS = 60
"""At long clips fewer a second."""
STILL_SECONDS = 10.0
"""The length that the sources of a still image are given."""
MOST_SOURCES = 8


def recognise(
    path: Path, networks: Networks, *, kinds: Kinds | None = None, report: Callable[[float], None] = lambda _: None
) -> Sources:
    """Finds the sources of a 360° video, image or image sequence.

    `report` is called with the share that is done, after each look; an exception from it ends the work.

    Raises UserError: no clip, or no 360° panorama."""
    info = video.probe(path)
    check_sphere(info)
    seconds = info.duration or STILL_SECONDS
    looks = 1 if info.duration is None else min(MOST_LOOKS, max(1, ceil(seconds / LOOK_SECONDS)))
    step = seconds / looks
    times = [(look + 0.5) * step for look in range(looks)]
    rate, start, length = (1.0, 0.0, 1.0) if info.duration is None else (1 / step, step / 2, None)
    shown = video.frames(path, rate, start, length)
    frames = (frame.image for frame in shown)
    return sources(frames, times, seconds, networks, kinds=kinds or load(), report=report)


def sources(
    frames: Iterable[Picture],
    times: list[float],
    seconds: float,
    networks: Networks,
    *,
    kinds: Kinds,
    report: Callable[[float], None] = lambda _: None,
) -> Sources:
    """The sources of a clip of `seconds`, by its frames `(height, width, 3)` at `times`."""
    finder = Finder(networks, kinds)
    looks: list[Sighted] = []
    last: Picture | None = None
    for frame in frames:
        unchanged = last is not None and np.array_equal(frame, last)
        looks.append(looks[-1] if unchanged else finder.look(frame))
        last = frame
        report(len(looks) / len(times))
    times = times[: len(looks)]
    tracks = tracking.follow([look.things for look in looks])
    found = [tracking.source(track, times, seconds, kinds) for track in tracks[:MOST_SOURCES]]
    bed, sure = beds.choose([look.bed for look in looks], kinds)
    return Sources(
        seconds=round(seconds, 3),
        sources=tuple(found),
        bed=Bed(kind=bed, confidence=round(sure, 3), level=kinds[bed].level),
    )
