"""Clips: opened once, then read as frames at any rate, streamed by PyAV in constant memory.

Whatever the file, frames are `uint8 (height, width, 3)` RGB with square pixels, upright (display matrix and pose are
applied), and show the left eye of a stereo clip. A panorama stored at another shape is scaled back to 2:1. Times count
from the clip's first frame. A clip is a video, a still image, or an image sequence (a folder, or a name with #### or
%04d in place of the numbers).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil, isfinite
from pathlib import Path
from typing import NamedTuple, TypeVar

import av
import numpy as np
from PIL import Image

from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256
from omniaudio.paths import check_readable
from omniaudio.video.panorama import Rgb
from omniaudio.video.probe import SEQUENCE_RATE, ClipInfo, probe, whole_frame
from omniaudio.video.stills import is_sequence, sequence_files
from omniaudio.video.time_range import time_range
from omniaudio.video.timeline import timed_frames

T = TypeVar("T")
_Source = av.VideoFrame | Path
"""What a frame is made of: a decoded frame, or an image file."""


class Frame(NamedTuple):
    """A frame of a clip."""

    time: float
    """The requested time, in seconds from the clip's first frame."""
    image: Rgb


class Clip:
    """A video, a still image or an image sequence, as it was when it was opened."""

    def __init__(self, path: Path, sequence_rate: Fraction = SEQUENCE_RATE) -> None:
        """Open a clip. Decodes one frame, and reads more only of truncated files.

        Args:
            path: a file, a folder of numbered images, or a name pattern for these.
            sequence_rate: frames per second of an image sequence.

        Raises:
            UserError: NO_INPUT if the path does not exist, NOT_A_VIDEO if it holds no frame.
        """
        self.info: ClipInfo = probe(path, sequence_rate)

    @property
    def path(self) -> Path:
        return self.info.path

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the clip, see `clip_sha256`."""
        return clip_sha256(self.path)

    def frames(self, rate: float, start: float = 0.0, duration: float | None = None) -> Iterator[Frame]:
        """Yield the frames nearest to the times start + k/rate.

        Arguments are checked at once; frames are read while iterating, and only a few are held.

        Raises:
            UserError: as `time_range`.
        """
        if not (isfinite(rate) and rate > 0):
            raise ValueError(f"the rate must be above 0, not {rate}")
        return self._nearest_frames(frame_times(rate, *time_range(self.info, start, duration)))

    def frame_at(self, time: float = 0.0) -> Rgb:
        """The frame nearest to a time in seconds. Raises UserError as `time_range` does."""
        start, _ = time_range(self.info, time, 1.0 if self.info.duration is None else None)
        return next(self._nearest_frames([start])).image

    def _nearest_frames(self, times: Sequence[float]) -> Iterator[Frame]:
        """The frames nearest to ascending times; each is converted once, however often it repeats."""
        last: _Source | None = None
        for time, source in zip(times, nearest(self._timed(times[0]), times), strict=False):
            if source is not last:
                last, image = source, _shown(whole_frame(self.info, source), self.info)
            yield Frame(time, image)
        if last is None:
            raise UserError(
                f"No frame of {self.path.name} from {times[0]:g} s on can be decoded; choose another part of it.",
                ExitCode.BAD_RANGE,
            )

    def _timed(self, start: float) -> Iterator[tuple[float, _Source]]:
        if self.info.kind == "video":
            return timed_frames(self.path, start)
        if self.info.kind == "still":
            return iter([(0.0, self.path)])
        assert self.info.fps is not None
        rate = float(self.info.fps)
        return ((place / rate, file) for place, file in sequence_files(self.path))


def clip_sha256(path: Path) -> str:
    """The SHA-256 of a clip's file, or of the hashes of a sequence's images with their numbers."""
    if not is_sequence(path):
        check_readable(path, "a 360° video or image")
        return file_sha256(path)
    lines = (f"{place} {file_sha256(file)}\n" for place, file in sequence_files(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def frame_times(rate: float, start: float, length: float) -> list[float]:
    """The times start + k/rate of all k ≥ 0 before start + length, in seconds; at least one."""
    count = max(1, ceil(round(length * rate, 6)))
    return [start + k / rate for k in range(count)]


def nearest(timed: Iterable[tuple[float, T]], times: Sequence[float]) -> Iterator[T]:
    """Yield the item nearest to each of the ascending `times`; the earlier one in a tie.

    `timed` are items with ascending times; an item not later than the one before is skipped. Reads no further than
    needed and holds two items. Yields nothing if there are no items."""
    items = iter(timed)
    before = next(items, None)
    if before is None:
        return
    after = next(items, None)
    for time in times:
        while after is not None and after[0] - time < abs(before[0] - time):
            if after[0] > before[0]:
                before = after
            after = next(items, None)
        yield before[1]


def _shown(upright: Rgb, info: ClipInfo) -> Rgb:
    height, width = upright.shape[:2]
    if info.stereo == "top-bottom":
        upright = upright[height // 2 :] if info.right_eye_first else upright[: height // 2]
    elif info.stereo == "side-by-side":
        upright = upright[:, width // 2 :] if info.right_eye_first else upright[:, : width // 2]
    size = (info.frame_width, info.frame_height)
    if upright.shape[:2] == size[::-1]:
        return np.ascontiguousarray(upright)
    return np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BICUBIC))
