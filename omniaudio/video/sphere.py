"""Whether a clip shows the whole sphere: by its metadata, its shape, and by what is seen in some of its pictures."""

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
"""Parts of the clip at which it is looked at beside its start: the first picture may be black, or a title."""


def check_sphere(clip: Clip, start: float = 0.0, seconds: float | None = None) -> None:
    """Refuse a clip that does not show the whole sphere; say so where it is stretched.

    Args:
        clip: the clip.
        start: where the wanted part of it begins, in seconds.
        seconds: how long that is; to its end where None.

    Raises:
        UserError: NOT_360, with the reason.
    """
    reason = why_no_sphere(clip, start, seconds)
    if reason is not None:
        raise UserError(
            f"This is not a 360° panorama: {reason}; give an equirectangular picture or use --force.", ExitCode.NOT_360
        )
    info = clip.info
    if is_stretched(info):
        _log.warning(
            "%s is %.2f:1 and shows the whole sphere: it is taken as stretched from 2:1.", info.path.name, info.aspect
        )


def is_stretched(info: ClipInfo) -> bool:
    """Whether the clip's pictures, if it is a panorama, have to be stretched to be twice as wide as high."""
    return not is_2_to_1(info.aspect)


def why_no_sphere(clip: Clip, start: float = 0.0, seconds: float | None = None) -> str | None:
    """The reason why a clip does not show the whole sphere; None where it does, or a 2:1 picture does not tell.

    What metadata declare counts. Where they say nothing, a picture that is 2:1 is refused if it looks like something
    else, and one of another shape is accepted only if it looks like a sphere."""
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
        with suppress(UserError):  # A file may be cut off.
            yield look(clip.frame_at(start + place * length))
