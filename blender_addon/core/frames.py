"""Frames, seconds, channels and file names: the arithmetic of placing a sound under a picture. Knows no bpy."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .errors import UserError

LAST_CHANNEL = 128  # of Blender's sequencer


def frame_rate(fps: float, fps_base: float = 1.0) -> Fraction:
    """Frames a second as Blender keeps them: 24 and 1.001 are the 24000/1001 of NTSC film, not a decimal near it."""
    base = Fraction(fps_base).limit_denominator(2_000)
    return Fraction(fps).limit_denominator(2_000) / base


@dataclass(frozen=True)
class Placement:
    """Where a sound goes: from frame `start`, for `frames` frames."""

    start: int
    frames: int

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.start + self.frames

    def common(self, other: "Placement") -> "Placement":
        """What lies in both; of no frames where nothing does."""
        start = max(self.start, other.start)
        return Placement(start, max(0, min(self.end, other.end) - start))

    def moved(self, frames: int) -> "Placement":
        """The same, so many frames later."""
        return Placement(self.start + frames, self.frames)


@dataclass(frozen=True)
class FileSpan:
    """A part of a file, in seconds from the beginning of the file."""

    start: float
    duration: float


@dataclass(frozen=True)
class MovieTiming:
    """How a movie strip shows its file. Frames named `content_*` are the timeline's; the others are the file's."""

    content_start: int  # where the first frame that is not trimmed away for good would be shown
    content_frames: int
    shown: Placement  # what the handles leave
    file_frames: int
    file_rate: Fraction
    file_frames_cut: int  # from the file's beginning, before content_start
    file_frames_cut_end: int

    def at_own_speed(self, scene_rate: Fraction) -> bool:
        """Whether a second of the timeline shows a second of the file."""
        # Blender rounds the length of the content to whole frames, hence one frame of tolerance.
        playing = self.file_frames - self.file_frames_cut - self.file_frames_cut_end
        return abs(self.content_frames - playing / self.file_rate * scene_rate) <= 1

    def part_shown(self, scene_rate: Fraction) -> tuple[Placement, FileSpan]:
        """Where on the timeline a strip that plays at its file's speed shows moving pictures, and which part of the
        file that is.

        Frames that only hold the first or the last picture are left out. Raises UserError if there are no others.
        """
        start = max(self.shown.start, self.content_start)
        end = min(self.shown.end, self.content_start + self.content_frames)
        if end <= start:
            raise UserError("The strip shows none of its file's moving frames; move its handles.")
        in_file = self.file_frames_cut / self.file_rate + (start - self.content_start) / scene_rate
        return Placement(start, end - start), FileSpan(float(in_file), float((end - start) / scene_rate))


def whole_file(seconds: Fraction, start: int, scene_rate: Fraction) -> tuple[Placement, FileSpan]:
    """Where a file lies whose `seconds` begin at frame `start`: as many whole frames as it fills, one at least."""
    count = max(1, int(seconds * scene_rate))
    return Placement(start, count), FileSpan(0.0, float(min(seconds, count / scene_rate)))


def free_channels(
    taken: Iterable[tuple[int, Placement]],
    place: Placement,
    count: int,
    closed: frozenset[int] = frozenset(),
    near: int = 0,
) -> list[int]:
    """The `count` channels that are nearest to `near`, rather below than above it, and that nothing occupies at
    `place`; `taken` is (channel, where), `closed` unusable.

    Raises UserError if there are not that many.
    """
    occupied = set(closed)
    occupied.update(channel for channel, other in taken if other.common(place).frames > 0)
    free = [channel for channel in range(1, LAST_CHANNEL + 1) if channel not in occupied]
    if len(free) < count:
        raise UserError(f"The sequencer has no {count} free channels at frame {place.start}; free some.")
    return sorted(free, key=lambda channel: (abs(channel - near), channel))[:count]


def free_file(folder: Path, stem: str, suffix: str) -> Path:
    """`folder`/`stem`_001`suffix`, or the first later number of which no file exists with any suffix."""
    there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    for number in range(1, 10_000):
        name = f"{stem}_{number:03d}"
        if not any(other.startswith(f"{name}.") for other in there):
            return folder / (name + suffix)
    raise UserError(f"The folder {folder} already holds {stem}_001 to {stem}_9999; choose another folder.")


def shortened(name: str, most: int) -> str:
    """The name, cut to at most `most` bytes of UTF-8 between two of its characters."""
    return name.encode("utf-8")[:most].decode("utf-8", "ignore").rstrip()
