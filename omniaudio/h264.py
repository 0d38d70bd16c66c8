"""Pictures as H.264 in the form that every player decodes: 8 bits, 4:2:0, a key frame every two seconds."""

from fractions import Fraction
from math import ceil

import av
import av.container
from av.video.reformatter import ColorRange, Colorspace

QUALITY = 18
"""x264's constant rate factor: visually lossless at twice the size of its default."""
KEY_SECONDS = 2
TICKS = 90_000
"""Of the clock, a second: MPEG's, a multiple of the usual rates of pictures."""
_BT709 = 1
"""ITU-T H.273: primaries, transfer and matrix all have this number."""


class PictureEncoder:
    """Pictures with their times to packets of one track."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        size: tuple[int, int],
        rate: Fraction,
        pixel_aspect: Fraction = Fraction(1),
        source: av.VideoStream | None = None,
    ) -> None:
        """`size` is width and height in pixels, both even; `rate` is about how many pictures come a second. Pictures of
        a video keep their `source`'s colour space; the matrix of those in RGB is BT.709's."""
        self._stream = container.add_stream("libx264", rate=rate, options={"crf": str(QUALITY)})
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
        self._last = -1

    def encode(self, frame: av.VideoFrame, seconds: float) -> "list[av.Packet[av.VideoStream]]":
        """The packets that are ready once a picture of any size and format has come, shown from `seconds` on; a
        picture at the last one's time is left out."""
        ticks = round(seconds * TICKS)
        if ticks <= self._last:
            return []
        context = self._stream.codec_context
        if self._last < 0:  # Before the encoder opens: also pictures of a video come in RGB where they were turned.
            context.colorspace = _BT709 if frame.format.is_rgb else self._matrix
        shown = frame.reformat(
            width=context.width,
            height=context.height,
            format=context.pix_fmt,
            dst_colorspace=Colorspace.ITU709 if frame.format.is_rgb else None,
            dst_color_range=ColorRange.MPEG,
        )
        shown.pts, shown.time_base = ticks, context.time_base
        shown.pict_type = av.video.frame.PictureType.NONE  # The source's key frames are not the film's.
        self._last = ticks
        return self._stream.encode(shown)

    def finish(self) -> "list[av.Packet[av.VideoStream]]":
        """The packets that were still awaited."""
        return self._stream.encode(None)


def even(pixels: int) -> int:
    """The nearest number of pixels that 4:2:0 can halve."""
    return max(2, pixels - pixels % 2)
