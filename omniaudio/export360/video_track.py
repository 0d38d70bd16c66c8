"""The pictures of a film as packets: copied as they are, or encoded as H.264; streamed, in constant memory.

Times are those of the film, whose first picture is the one nearest to `start` in the clip. The track is as long as
wanted: of a clip that ends before, the last picture stays; of one that goes on, what follows is cut, but for a few
pictures that the last ones are predicted from where packets are copied.
"""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from math import ceil, inf
from typing import NamedTuple, TypeAlias

import av
import av.container
import av.error
import numpy as np

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.container import open_file, video_stream
from omniaudio.video.h264 import FrameEncoder, fitted
from omniaudio.video.panorama import Rgb
from omniaudio.video.probe import SEQUENCE_RATE, ClipInfo, whole_frame
from omniaudio.video.stills import sequence_files
from omniaudio.video.timeline import TimedFrame, timed_frames, timeline

Packets: TypeAlias = "Iterator[av.Packet[av.VideoStream]]"

COPIED = {
    "mp4": frozenset({"h264", "hevc", "av1", "vp9"}),
    "mov": frozenset({"h264", "hevc", "prores", "dnxhd", "mjpeg", "mpeg4"}),
}
"""Codecs that players expect in a container, by its name; FFmpeg would write more."""

STILL_RATE = Fraction(6)
"""Pictures a second of a film of one still: players that seek by pictures find every sixth of a second."""

_MAX_REORDERED = 32
"""Pictures; H.264 and HEVC allow 16 between decoding and showing."""
_MIN_SHOWN = 1e-3
"""Seconds; a picture that would be shown for less at the film's end is left out."""


class Part(NamedTuple):
    """A part of a clip, in seconds; it may end after the clip does."""

    info: ClipInfo
    start: float
    seconds: float

    @property
    def half_a_picture(self) -> float:
        """In seconds; the most by which the film may begin beside the wanted time."""
        return float(Fraction(1, 2) / (self.info.fps or SEQUENCE_RATE))


class NotCopyableError(Exception):
    """The pictures have to be encoded: they cannot begin here, do not say their times, or are none that the container
    takes."""


def is_copyable(info: ClipInfo, container: str) -> bool:
    """Whether a clip's packets may be copied to a container ("mp4" or "mov"), as far as the clip's kind tells."""
    return info.kind == "video" and info.stored_as_shown and info.codec in COPIED[container]


def copied(film: av.container.OutputContainer, clip: av.container.InputContainer, part: Part) -> Packets:
    """Add a track to a film, and give its packets, taken from an open clip.

    Raises NotCopyableError where the container does not take them, and while they are read, the first one mostly, where
    no key frame lies at the part's start or their times are not usable as they are."""
    source = video_stream(clip, part.info.path)
    try:
        track = film.add_stream_from_template(source, opaque=True)  # by its decoder: not each has an encoder
    except (ValueError, av.error.FFmpegError) as error:
        raise NotCopyableError from error
    if part.info.codec == "hevc":
        track.codec_context.codec_tag = "hvc1"  # Apple's players take no other.
    return lasting(_copied(clip, source, track, part), part.seconds)


def encoded(film: av.container.OutputContainer, part: Part) -> Packets:
    """Add a track to a film, and give its packets, encoded from a clip of any kind.

    Raises UserError (BAD_RANGE), while they are read, where no picture can be decoded."""
    info = part.info
    aspect = info.pixel_aspect if info.rotation % 180 == 0 else 1 / info.pixel_aspect
    size = fitted(*upright_size(info))
    if info.kind == "still":
        return lasting(_repeated(FrameEncoder(film, size, STILL_RATE, aspect, still=True), part), part.seconds)
    rate = info.fps or SEQUENCE_RATE
    if info.kind == "video":
        with open_file(info.path) as clip:
            encoder = FrameEncoder(film, size, rate, aspect, video_stream(clip, info.path))
    else:
        encoder = FrameEncoder(film, size, rate, aspect)
    return lasting(_encoded(encoder, part), part.seconds)


def upright_size(info: ClipInfo) -> tuple[int, int]:
    """Width and height of a clip's whole pictures, in stored pixels, once they are upright."""
    return (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)


def _copied(clip: av.container.InputContainer, source: av.VideoStream, track: av.VideoStream, part: Part) -> Packets:
    line = timeline(part.info.path)
    if not line.copyable:
        raise NotCopyableError
    unit, first = line.unit, line.first
    start, half = part.start, part.half_a_picture
    end = max(1, (part.seconds - _MIN_SHOWN) / unit)  # The first picture is shown, however short the sound.
    if start > half:
        try:
            clip.seek(int((start + half) / unit) + first, stream=source)
        except av.error.FFmpegError as error:
            raise NotCopyableError from error
    begin: int | None = None
    decoded: int | None = None
    later: list[av.Packet[av.VideoStream]] = []
    """Packets of pictures after the end, which a picture before it may still be predicted from."""
    for packet in _with_decoding_times(clip, source):
        assert packet.dts is not None
        shown_wrongly = packet.pts is None or packet.is_discard  # edit lists leave frames out
        if shown_wrongly or (decoded is not None and packet.dts <= decoded):
            raise NotCopyableError
        decoded = packet.dts
        assert packet.pts is not None
        if begin is None:
            if not packet.is_keyframe or abs((packet.pts - first) * unit - start) > half:
                raise NotCopyableError
            begin = packet.pts
        if packet.pts < begin:
            continue  # Shown before the key frame, and predicted from what lies before it.
        packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, track
        if packet.dts >= end:
            return
        later.append(packet)
        if packet.pts < end:
            yield from later
            later = []


def _with_decoding_times(clip: av.container.InputContainer, source: av.VideoStream) -> Packets:
    """A stream's packets. Where containers do not say when the first ones are decoded, as Matroska's, they come at even
    steps before those that follow."""
    waiting: list[av.Packet[av.VideoStream]] = []
    with suppress(av.error.FFmpegError):  # A file may just end.
        for packet in clip.demux(source):
            if not packet.size:
                continue
            waiting.append(packet)
            if packet.dts is None:
                if len(waiting) > _MAX_REORDERED:
                    raise NotCopyableError
                continue
            for later, earlier in pairwise(reversed(waiting)):
                assert later.dts is not None
                earlier.dts = later.dts - max(1, packet.duration or 1)
            yield from waiting
            waiting = []
    if waiting:
        raise NotCopyableError


def _encoded(encoder: FrameEncoder, part: Part) -> Packets:
    empty = True
    for time, frame in _shown(_frames(part), part):
        empty = False
        yield from encoder.encode(frame, time)
    if empty:
        name = part.info.path.name
        message = f"No picture of {name} from {part.start:g} s on can be decoded; choose another part of it."
        raise UserError(message, ExitCode.BAD_RANGE)
    yield from encoder.finish()


def _repeated(encoder: FrameEncoder, part: Part) -> Packets:
    """A still, again and again, for players that seek by pictures; repetitions take next to no room."""
    picture = encoder.convert(_as_frame(whole_frame(part.info, part.info.path)))
    for place in range(max(1, ceil((part.seconds - _MIN_SHOWN) * STILL_RATE))):
        yield from encoder.encode(picture, float(place / STILL_RATE))
    yield from encoder.finish()


def lasting(packets: Packets, seconds: float) -> Packets:
    """The packets with durations such that the pictures end so long after the film's beginning."""
    last: av.Packet[av.VideoStream] | None = None
    for packet in packets:
        if last is not None:
            left = _left(last, seconds)
            last.duration = min(last.duration or left, left)
            yield last
        last = packet
    if last is not None:
        last.duration = _left(last, seconds)
        yield last


def _left(packet: "av.Packet[av.VideoStream]", seconds: float) -> int:
    """From a picture's time to the film's end, in ticks; at least one."""
    assert packet.time_base is not None
    assert packet.pts is not None
    return max(1, round(seconds / packet.time_base) - packet.pts)


def _shown(timed: Iterator[TimedFrame], part: Part) -> Iterator[TimedFrame]:
    """Pictures with the film's times: from the one that is shown at its start, or begins less than half a picture after
    that and nearer to it."""
    first: av.VideoFrame | None = None
    nearest = inf
    for time, frame in timed:
        if time - part.start < part.half_a_picture and (time <= part.start or time - part.start < nearest):
            first, nearest = frame, abs(time - part.start)
            continue
        if first is not None:
            yield 0.0, first
            first = None
        if time - part.start >= part.seconds - _MIN_SHOWN:
            return
        yield time - part.start, frame
    if first is not None:
        yield 0.0, first


def _frames(part: Part) -> Iterator[TimedFrame]:
    """A clip's whole pictures, upright and posed, the left eye first, with their times in the clip."""
    info, start, seconds = part
    if info.kind == "video":
        for time, frame in timed_frames(info.path, start):
            if info.stored_as_shown:
                yield time, frame
            else:
                yield time, _as_frame(_left_eye_first(whole_frame(info, frame), info))
    else:
        assert info.fps is not None
        files = [(float(place / info.fps), file) for place, file in sequence_files(info.path)]
        before = sum(time - start < part.half_a_picture for time, _ in files)
        for time, file in files[max(0, before - 1) :]:  # from the one that is shown first
            if time - start < seconds:
                yield time, _as_frame(whole_frame(info, file))


def _left_eye_first(picture: Rgb, info: ClipInfo) -> Rgb:
    if not info.right_eye_first:
        return picture
    axis = 0 if info.stereo == "top-bottom" else 1
    return np.roll(picture, picture.shape[axis] // 2, axis)


def _as_frame(picture: Rgb) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
