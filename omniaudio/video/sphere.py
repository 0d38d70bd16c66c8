"""Whether a clip shows the whole sphere: by its metadata, its shape, and the content of some of its frames."""

import logging
from collections.abc import Iterator
from contextlib import suppress

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.clip import Clip
from omniaudio.video.probe import ClipInfo
from omniaudio.video.projection import MIN_HEIGHT, Seen, is_2_to_1, look, may_be_stretched, verdict
from omniaudio.video.spherical_tags import MESH

_log = logging.getLogger(__name__)

_PLACES = (0.5, 0.25, 0.75, 0.95)
"""Fractions of the clip's length at which frames are judged besides the first, which may be black or a title."""


def check_sphere(clip: Clip, start: float = 0.0, seconds: float | None = None) -> None:
    """Refuse a clip that does not show the whole sphere; warn if it is stretched.

    Args:
        clip: the clip.
        start: where the part begins, in seconds.
        seconds: how long the part is; to the clip's end if None.

    Raises:
        UserError: NOT_360, with the reason.
    """
    reason = why_no_sphere(clip, start, seconds)
    if reason is not None:
        raise UserError(
            f"This is not a 360° panorama: {reason}; use an equirectangular video or image, or --force.",
            ExitCode.NOT_360,
        )
    info = clip.info
    if is_stretched(info):
        _log.warning(
            "%s is %.2f:1 and shows the whole sphere; it is treated as a stretched 2:1 panorama.",
            info.path.name,
            info.aspect,
        )


def is_stretched(info: ClipInfo) -> bool:
    """Whether the clip's frames, if it is a panorama, have to be scaled to 2:1."""
    return not is_2_to_1(info.aspect)


def why_no_sphere(clip: Clip, start: float = 0.0, seconds: float | None = None) -> str | None:
    """The reason why a clip does not show the whole sphere; None if it does, or if a 2:1 clip gives no evidence.

    The metadata decide. Without them, a 2:1 clip is refused if it looks like something else, and one of another shape
    is accepted only if it looks like a sphere."""
    info = clip.info
    if info.projection in ("half equirectangular", MESH):
        return "its metadata declare half a sphere (VR180)"
    if info.projection not in (None, "equirectangular"):
        return f"its metadata call its projection {info.projection}"
    size = f"{info.frame_width}×{info.frame_height}"
    if info.frame_height < MIN_HEIGHT:
        return f"it has only {size} pixels"
    stretched = is_stretched(info)
    if stretched and not may_be_stretched(info.aspect, info.stereo):
        return f"it is {info.aspect:.2f}:1 ({size} in square pixels) and not 2:1"
    if info.projection is not None:
        return None
    reason = verdict(_seen(clip, start, seconds), surely=stretched)
    return f"it is {info.aspect:.2f}:1 and not 2:1, and {reason}" if reason and stretched else reason


def _seen(clip: Clip, start: float, seconds: float | None) -> Iterator[Seen]:
    duration = clip.info.duration
    yield look(clip.frame_at(start))
    if duration is None:
        return
    length = min(seconds or duration, duration - start)
    for place in _PLACES:
        with suppress(UserError):  # A file may be truncated.
            yield look(clip.frame_at(start + place * length))
