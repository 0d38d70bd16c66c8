"""Parts of a clip: which can be had, and which are refused."""

from math import isfinite

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.probe import ClipInfo


def time_range(info: ClipInfo, start: float = 0.0, duration: float | None = None) -> tuple[float, float]:
    """The start and the length in seconds of a wanted part of a clip; to its end where no duration is given.

    Raises UserError (BAD_RANGE) where the clip does not hold it, or a still is given no duration."""
    if not isfinite(start) or start < 0:
        raise UserError(f"A clip starts at 0 s; start there or later, not at {start:g} s.", ExitCode.BAD_RANGE)
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise UserError(f"A duration is longer than 0 s; give one, not {duration:g} s.", ExitCode.BAD_RANGE)
    if info.duration is None:
        if duration is None:
            raise UserError(f"{info.path.name} is a still picture; say how long with --duration.", ExitCode.BAD_RANGE)
        return start, duration
    if start >= info.duration:
        raise UserError(
            f"{info.path.name} is {info.duration:.2f} s long; start before that, not at {start:g} s.",
            ExitCode.BAD_RANGE,
        )
    rest = info.duration - start
    if duration is not None and duration > rest + _slack(info):
        raise UserError(
            f"{info.path.name} is {info.duration:.2f} s long; from {start:g} s on, ask for {rest:.2f} s at most, "
            f"not for {duration:g} s.",
            ExitCode.BAD_RANGE,
        )
    return start, rest if duration is None else min(duration, rest)


def wanted_range(info: ClipInfo, start: float, duration: float | None, allow_truncated: bool) -> tuple[float, float]:
    """The range that a person wants of a clip: as `time_range`, but of a file that was cut off.

    Of that one a range is taken that can be read whole. Any other is refused, or with `allow_truncated` ends where the
    clip does.

    Raises UserError (TRUNCATED; BAD_RANGE as `time_range`)."""
    if info.declared_duration is not None:
        end = info.declared_duration if duration is None else start + duration
        check_truncation(info, end, allow_truncated)
        if (info.duration or 0) + _slack(info) < end <= info.declared_duration + _slack(info):
            duration = None
    return time_range(info, start, duration)


def check_truncation(info: ClipInfo, end: float, allow_truncated: bool) -> None:
    """Refuses to take what is left of a file that was cut off for all of it up to `end`, in seconds.

    Raises UserError (TRUNCATED)."""
    declared, readable = info.declared_duration, info.duration
    if allow_truncated or declared is None or readable is None or not end > readable + _slack(info):
        return
    raise UserError(
        f"{info.path.name} is cut off: its header says {declared:.2f} s, and {readable:.2f} s can be read; copy or "
        f"export it again, or use --allow-truncated for what can be read.",
        ExitCode.TRUNCATED,
    )


def _slack(info: ClipInfo) -> float:
    """Seconds by which a range may be too long: people round to a frame or to a hundredth of a second."""
    return max(0.01, 1 / float(info.fps or 25))
