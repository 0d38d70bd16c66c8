"""From a clip to its sources: looks at some of its frames and tracks what they show."""

from collections.abc import Callable, Iterable, Sequence
from math import ceil

import numpy as np
import numpy.typing as npt

from omniaudio.recognition import beds, tracking
from omniaudio.recognition.finder import Finder, Sighted
from omniaudio.recognition.kinds import Kinds, load
from omniaudio.recognition.networks import Networks
from omniaudio.recognition.sources import Bed, Sources
from omniaudio.video.clip import Clip
from omniaudio.video.panorama import Rgb, resize
from omniaudio.video.sphere import check_sphere
from omniaudio.video.time_range import time_range

LOOK_SECONDS = 2.0
"""Seconds between two looks at a video. In between, sources move along their paths."""
MIN_LOOKS, MAX_LOOKS = 5, 60
"""Limits per clip."""
MIN_SECONDS_BETWEEN_LOOKS = 0.5
"""Limit for short clips."""
STILL_SECONDS = 10.0
"""Length of the sources of a still image."""
MAX_SOURCES = 8

_SMALL = (64, 128)
_UNCHANGED = 8
"""If no pixel of the small frame differs by more levels (of 255) from the last look, nothing has moved and the last
result is kept."""


def recognise(
    clip: Clip,
    networks: Networks,
    *,
    start: float = 0.0,
    duration: float | None = None,
    checked: bool = False,
    kinds: Kinds | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> Sources:
    """Finds the sources of a 360° video, image or image sequence.

    Args:
        clip: the clip.
        networks: the classifier and the detector.
        start: where to begin, in seconds into the clip.
        duration: seconds to look at; None for all up to the end.
        checked: skip the check that the clip shows the whole sphere.
        kinds: the kinds to recognise; None for the package's own.
        report: called after each look with the share that is done, 0 to 1; an exception cancels.

    Raises:
        UserError: the clip is not a 360° panorama, or lacks the range.
    """
    still = clip.info.duration is None
    seconds = max(start + (duration or STILL_SECONDS), STILL_SECONDS) if still else float(clip.info.duration or 0)
    begin, length = (0.0, seconds) if still else time_range(clip.info, start, duration)
    if not checked:
        check_sphere(clip, begin, length)
    looks = 1 if still else _looks(length)
    step = length / looks
    times = [begin + (look + 0.5) * step for look in range(looks)]
    rate, first, shown = (1.0, 0.0, 1.0) if still else (1 / step, begin + step / 2, length - step / 2)
    frames = (frame.image for frame in clip.frames(rate, first, shown))
    return sources(frames, times, (begin, begin + length), seconds, networks, kinds=kinds or load(), report=report)


def _looks(seconds: float) -> int:
    """The number of looks at a video of a length in seconds."""
    return min(MAX_LOOKS, max(ceil(seconds / LOOK_SECONDS), min(MIN_LOOKS, ceil(seconds / MIN_SECONDS_BETWEEN_LOOKS))))


def sources(
    frames: Iterable[Rgb],
    times: Sequence[float],
    span: tuple[float, float],
    seconds: float,
    networks: Networks,
    *,
    kinds: Kinds,
    report: Callable[[float], None] = lambda _: None,
) -> Sources:
    """The sources of a clip of `seconds`, from its frames `(height, width, 3)` at `times`, which represent `span`, a
    range from one time to another."""
    finder = Finder(networks, kinds)
    looks: list[Sighted] = []
    last: npt.NDArray[np.int16] | None = None
    for frame in frames:
        small = np.asarray(resize(frame, *_SMALL), np.int16)
        if last is None or np.abs(small - last).max() > _UNCHANGED:
            last = small
            looks.append(finder.look(frame))
        else:
            looks.append(looks[-1])
        report(len(looks) / len(times))
    times = times[: len(looks)]
    tracks = tracking.follow([look.sources for look in looks])
    found = [tracking.source(track, times, span, kinds) for track in tracks[:MAX_SOURCES]]
    bed, sure = beds.choose([look.bed for look in looks], kinds)
    level = kinds[bed].level - (beds.QUIETER if sure <= beds.UNSURE else 0.0)
    return Sources(
        seconds=round(seconds, 3),
        sources=tuple(found),
        bed=Bed(kind=bed, confidence=round(sure, 3), level=level),
    )
