"""Encoding frames as H.264 that every player decodes: 8 bits, 4:2:0, a key frame every two seconds."""

from fractions import Fraction
from math import ceil, sqrt

import av
import av.container
from av.video.reformatter import ColorRange, Colorspace

QUALITY = 18
"""x264's constant rate factor: visually lossless at twice the size of its default."""
KEY_SECONDS = 2
TICKS = 90_000
"""Clock ticks per second: MPEG's, a multiple of the usual frame rates."""
MAX_SIDE = 8192
"""Pixels; the largest side that hardware decodes."""
_MAX_MACROBLOCKS = 139_264
"""Macroblocks of 16×16 pixels in a frame: levels 6 to 6.2, H.264's highest."""
_LARGE = 4096 * 2304
"""Pixels in a frame above which x264 looks ahead less far, so that the frames it holds fit into memory."""
_LOOKAHEAD = 40
"""Frames; x264's default."""
_BT709 = 1
"""ITU-T H.273: primaries, transfer and matrix all have this number."""


class FrameEncoder:
    """Encodes frames with their times into the packets of one track."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        size: tuple[int, int],
        rate: Fraction,
        pixel_aspect: Fraction = Fraction(1),
        source: av.VideoStream | None = None,
        *,
        still: bool = False,
    ) -> None:
        """Add the track to a container.

        Args:
            container: the output.
            size: width and height in pixels, both even.
            rate: the approximate frame rate.
            pixel_aspect: width over height of a pixel.
            source: the stream whose colour space decoded frames keep; RGB frames use BT.709's matrix.
            still: one frame repeats throughout; the encoder then does not look ahead and is several times as fast.
        """
        options = {"crf": str(QUALITY), **_bounds(size, still=still)}
        self._stream = container.add_stream("libx264", rate=rate, options=options)
        context = self._stream.codec_context
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, TICKS)
        context.gop_size = max(1, ceil(KEY_SECONDS * rate))
        context.sample_aspect_ratio = pixel_aspect
        own = None if source is None else source.codec_context
        context.color_primaries = _BT709 if own is None else own.color_primaries
        context.color_trc = _BT709 if own is None else own.color_trc
        self._matrix = _BT709 if own is None else own.colorspace
        context.color_range = ColorRange.MPEG
        self._converted: av.VideoFrame | None = None
        self._last = -1

    def encode(self, frame: av.VideoFrame, seconds: float) -> "list[av.Packet[av.VideoStream]]":
        """Encode a frame of any size and format, shown from `seconds` on, and return the packets that are ready. A
        frame not later than the last one is skipped."""
        ticks = round(seconds * TICKS)
        if ticks <= self._last:
            return []
        shown = frame if frame is self._converted else self.convert(frame)
        shown.pts, shown.time_base = ticks, self._stream.codec_context.time_base
        shown.pict_type = av.video.frame.PictureType.NONE  # The source's key frames do not apply here.
        self._last = ticks
        return self._stream.encode(shown)

    def finish(self) -> "list[av.Packet[av.VideoStream]]":
        """Flush the encoder and return the remaining packets."""
        return self._stream.encode(None)

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Convert a frame to the track's size and format, once for a frame that is encoded repeatedly."""
        context = self._stream.codec_context
        if self._last < 0:  # Before the encoder opens. Rotated frames of a video are RGB, too.
            context.colorspace = _BT709 if frame.format.is_rgb else self._matrix
        self._converted = frame.reformat(
            width=context.width,
            height=context.height,
            format=context.pix_fmt,
            dst_colorspace=Colorspace.ITU709 if frame.format.is_rgb else None,
            dst_color_range=ColorRange.MPEG,
        )
        return self._converted


def fitted(width: int, height: int) -> tuple[int, int]:
    """The size in which frames are encoded: even for 4:2:0, and scaled down if H.264 has no level for them or hardware
    cannot decode them."""
    by_side = Fraction(MAX_SIDE, max(width, height))
    scale = min(Fraction(1), by_side, Fraction(sqrt(_MAX_MACROBLOCKS * 256 / (width * height))))
    if scale == 1:
        return even(width), even(height)
    return max(16, int(width * scale) // 16 * 16), max(16, int(height * scale) // 16 * 16)


def even(pixels: int) -> int:
    """The nearest lower number of pixels that 4:2:0 can halve; at least 2."""
    return max(2, pixels - pixels % 2)


def _bounds(size: tuple[int, int], *, still: bool) -> dict[str, str]:
    """x264's options that keep its memory and time within bounds."""
    if still:
        return {"preset": "veryfast", "tune": "zerolatency"}
    pixels = size[0] * size[1]
    if pixels <= _LARGE:
        return {}
    ahead = max(4, _LOOKAHEAD * _LARGE // pixels)
    # By default x264 encodes several frames at once, the more cores the more frames.
    return {"x264-params": f"rc-lookahead={ahead}:sync-lookahead=0:sliced-threads=1"}
