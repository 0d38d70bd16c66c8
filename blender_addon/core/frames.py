"""Frames, seconds, channels and file names: the arithmetic of placing a sound under a clip. Does not import bpy."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .errors import UserError

LAST_CHANNEL = 128  # of Blender's sequencer


def frame_rate(fps: float, fps_base: float = 1.0) -> Fraction:
    """The exact frame rate of Blender's pair of numbers: 24 and 1.001 give NTSC's 24000/1001, not a decimal near it."""
    base = Fraction(fps_base).limit_denominator(2_000)
    return Fraction(fps).limit_denominator(2_000) / base


@dataclass(frozen=True)
class Placement:
    """A range of the timeline: `frames` frames from frame `start` on."""

    start: int
    frames: int

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.start + self.frames

    def common(self, other: "Placement") -> "Placement":
        """The overlap of both; zero frames long if there is none."""
        start = max(self.start, other.start)
        return Placement(start, max(0, min(self.end, other.end) - start))

    def moved(self, frames: int) -> "Placement":
        """The same range, `frames` frames later."""
        return Placement(self.start + frames, self.frames)


@dataclass(frozen=True)
class FileSpan:
    """A part of a file, in seconds from the file's beginning."""

    start: float
    duration: float


@dataclass(frozen=True)
class VideoTiming:
    """How a movie strip plays its file. `content_*` count frames of the timeline, `file_*` those of the file."""

    content_start: int  # of the first frame that is not permanently trimmed
    content_frames: int
    shown: Placement  # between the handles
    file_frames: int
    file_rate: Fraction
    file_frames_cut: int  # permanently trimmed from the file's beginning
    file_frames_cut_end: int

    def at_own_speed(self, scene_rate: Fraction) -> bool:
        """Whether one second of the timeline plays one second of the file."""
        # Blender rounds the length of the content to whole frames, hence one frame of tolerance.
        playing = self.file_frames - self.file_frames_cut - self.file_frames_cut_end
        return abs(self.content_frames - playing / self.file_rate * scene_rate) <= 1

    def part_shown(self, scene_rate: Fraction) -> tuple[Placement, FileSpan]:
        """Which frames of the timeline play the file, and which part of the file that is, for a strip at the file's
        speed.

        Excludes frames that only hold the first or last frame of the file. Raises UserError if no others remain.
        """
        start = max(self.shown.start, self.content_start)
        end = min(self.shown.end, self.content_start + self.content_frames)
        if end <= start:
            raise UserError("The strip shows none of its file's moving frames; move its handles.")
        in_file = self.file_frames_cut / self.file_rate + (start - self.content_start) / scene_rate
        return Placement(start, end - start), FileSpan(float(in_file), float((end - start) / scene_rate))


def whole_file(seconds: Fraction, start: int, scene_rate: Fraction) -> tuple[Placement, FileSpan]:
    """Where a whole file of `seconds` lies from frame `start` on: as many whole frames as it fills, at least one."""
    count = max(1, int(seconds * scene_rate))
    return Placement(start, count), FileSpan(0.0, float(min(seconds, count / scene_rate)))


def free_channels(
    taken: Iterable[tuple[int, Placement]],
    place: Placement,
    count: int,
    closed: frozenset[int] = frozenset(),
    near: int = 0,
) -> list[int]:
    """The `count` free channels nearest to `near`; of two equally near ones the lower first.

    Args:
        taken: the strips, each as its channel and its frames.
        place: the frames that have to be free.
        closed: channels that must not be used.

    Raises:
        UserError: fewer channels are free.
    """
    occupied = set(closed)
    occupied.update(channel for channel, other in taken if other.common(place).frames > 0)
    free = [channel for channel in range(1, LAST_CHANNEL + 1) if channel not in occupied]
    if len(free) < count:
        raise UserError(f"The sequencer has no {count} free channels at frame {place.start}; free some.")
    return sorted(free, key=lambda channel: (abs(channel - near), channel))[:count]


def free_file(folder: Path, stem: str, suffix: str) -> Path:
    """`folder`/`stem`_001`suffix`, or the first later number for which no file with any suffix exists."""
    there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    for number in range(1, 10_000):
        name = f"{stem}_{number:03d}"
        if not any(other.startswith(f"{name}.") for other in there):
            return folder / (name + suffix)
    raise UserError(f"The folder {folder} already holds {stem}_001 to {stem}_9999; choose another folder.")


def shortened(name: str, max_bytes: int) -> str:
    """The name, cut at a character boundary to at most `max_bytes` bytes of UTF-8."""
    return name.encode("utf-8")[:max_bytes].decode("utf-8", "ignore").rstrip()
