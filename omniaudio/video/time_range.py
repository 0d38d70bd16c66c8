"""Parts of a clip: which are accepted, and which are refused."""

from math import isfinite

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.probe import ClipInfo


def time_range(info: ClipInfo, start: float = 0.0, duration: float | None = None) -> tuple[float, float]:
    """The start and length in seconds of a part of a clip; without a duration it goes to the clip's end.

    Raises UserError (BAD_RANGE) if the clip does not contain it, or if a still is given no duration."""
    if not isfinite(start) or start < 0:
        raise UserError(f"The start must be 0 s or later, not {start:g} s.", ExitCode.BAD_RANGE)
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise UserError(f"The duration must be above 0 s, not {duration:g} s.", ExitCode.BAD_RANGE)
    if info.duration is None:
        if duration is None:
            raise UserError(f"{info.path.name} is a still image; set a length with --duration.", ExitCode.BAD_RANGE)
        return start, duration
    if start >= info.duration:
        raise UserError(
            f"{info.path.name} is {info.duration:.2f} s long; start before its end, not at {start:g} s.",
            ExitCode.BAD_RANGE,
        )
    rest = info.duration - start
    if duration is not None and duration > rest + _slack(info):
        raise UserError(
            f"{info.path.name} is {info.duration:.2f} s long; from {start:g} s on, {rest:.2f} s are available, "
            f"not {duration:g} s.",
            ExitCode.BAD_RANGE,
        )
    return start, rest if duration is None else min(duration, rest)


def requested_range(info: ClipInfo, start: float, duration: float | None, allow_truncated: bool) -> tuple[float, float]:
    """The requested range of a clip: as `time_range`, with a check for truncated files.

    If the file is truncated, a range is accepted if it can be read whole. Any other is refused, or with
    `allow_truncated` ends where the clip does.

    Raises UserError (TRUNCATED; BAD_RANGE as `time_range`)."""
    if info.declared_duration is not None:
        end = info.declared_duration if duration is None else start + duration
        check_truncation(info, end, allow_truncated)
        if (info.duration or 0) + _slack(info) < end <= info.declared_duration + _slack(info):
            duration = None
    return time_range(info, start, duration)


def check_truncation(info: ClipInfo, end: float, allow_truncated: bool) -> None:
    """Raises UserError (TRUNCATED) if a truncated file ends before `end`, in seconds, unless `allow_truncated`."""
    declared, readable = info.declared_duration, info.duration
    if allow_truncated or declared is None or readable is None or not end > readable + _slack(info):
        return
    raise UserError(
        f"{info.path.name} is truncated: its header says {declared:.2f} s, but only {readable:.2f} s can be read; copy "
        f"or export it again, or use --allow-truncated to take what can be read.",
        ExitCode.TRUNCATED,
    )


def _slack(info: ClipInfo) -> float:
    """Seconds by which a range may be too long: values are rounded to a frame or a hundredth of a second."""
    return max(0.01, 1 / float(info.fps or 25))
