"""The video track as packets: copied unchanged, or encoded as H.264; streamed in constant memory.

Times count from the output's first frame, which is the one nearest to `start` in the clip. The track has the requested
length: a shorter clip holds its last frame, and a longer one is cut, except for a few frames that copied packets are
still predicted from.
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
"""Codecs that players expect in each container; FFmpeg would write more."""

STILL_RATE = Fraction(6)
"""Frame rate of a video of one still image: players that seek by frames find every sixth of a second."""

_MAX_REORDERED = 32
"""Frames; H.264 and HEVC allow 16 between decoding and presentation."""
_MIN_SHOWN = 1e-3
"""Seconds; a frame that would be shown for less at the end is left out."""


class Part(NamedTuple):
    """A part of a clip, in seconds; it may end after the clip does."""

    info: ClipInfo
    start: float
    seconds: float

    @property
    def half_a_frame(self) -> float:
        """Half the duration of a frame in seconds: how far the first frame may be from `start`."""
        return float(Fraction(1, 2) / (self.info.fps or SEQUENCE_RATE))


class NotCopyableError(Exception):
    """The frames have to be encoded: there is no key frame at the start, their times are unusable, or the container
    does not accept their codec."""


def is_copyable(info: ClipInfo, container: str) -> bool:
    """Whether a clip's packets may be copied to a container ("mp4" or "mov"), judging by the clip's properties
    alone."""
    return info.kind == "video" and info.stored_as_shown and info.codec in COPIED[container]


def copied(video: av.container.OutputContainer, clip: av.container.InputContainer, part: Part) -> Packets:
    """Add a track to a video and yield its packets, copied from an open clip.

    Raises NotCopyableError if the container does not accept them, or during iteration, mostly at the first packet, if
    there is no key frame at the part's start or their times are unusable."""
    source = video_stream(clip, part.info.path)
    try:
        track = video.add_stream_from_template(source, opaque=True)  # opaque: some codecs have a decoder and no encoder
    except (ValueError, av.error.FFmpegError) as error:
        raise NotCopyableError from error
    if part.info.codec == "hevc":
        track.codec_context.codec_tag = "hvc1"  # Apple's players accept no other tag.
    return lasting(_copied(clip, source, track, part), part.seconds)


def encoded(video: av.container.OutputContainer, part: Part) -> Packets:
    """Add a track to a video and yield its packets, encoded from a clip of any kind.

    Raises UserError (BAD_RANGE) during iteration if no frame can be decoded."""
    info = part.info
    aspect = info.pixel_aspect if info.rotation % 180 == 0 else 1 / info.pixel_aspect
    size = fitted(*upright_size(info))
    if info.kind == "still":
        return lasting(_repeated(FrameEncoder(video, size, STILL_RATE, aspect, still=True), part), part.seconds)
    rate = info.fps or SEQUENCE_RATE
    if info.kind == "video":
        with open_file(info.path) as clip:
            encoder = FrameEncoder(video, size, rate, aspect, video_stream(clip, info.path))
    else:
        encoder = FrameEncoder(video, size, rate, aspect)
    return lasting(_encoded(encoder, part), part.seconds)


def upright_size(info: ClipInfo) -> tuple[int, int]:
    """Width and height of a clip's whole frames in stored pixels, after rotation to upright."""
    return (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)


def _copied(clip: av.container.InputContainer, source: av.VideoStream, track: av.VideoStream, part: Part) -> Packets:
    line = timeline(part.info.path)
    if not line.copyable:
        raise NotCopyableError
    unit, first = line.unit, line.first
    start, half = part.start, part.half_a_frame
    end = max(1, (part.seconds - _MIN_SHOWN) / unit)  # The first frame is shown, however short the sound.
    if start > half:
        try:
            clip.seek(int((start + half) / unit) + first, stream=source)
        except av.error.FFmpegError as error:
            raise NotCopyableError from error
    begin: int | None = None
    decoded: int | None = None
    later: list[av.Packet[av.VideoStream]] = []
    """Packets of frames after the end, from which a frame before it may still be predicted."""
    for packet in _with_decoding_times(clip, source):
        assert packet.dts is not None
        shown_wrongly = packet.pts is None or packet.is_discard  # Edit lists drop frames.
        if shown_wrongly or (decoded is not None and packet.dts <= decoded):
            raise NotCopyableError
        decoded = packet.dts
        assert packet.pts is not None
        if begin is None:
            if not packet.is_keyframe or abs((packet.pts - first) * unit - start) > half:
                raise NotCopyableError
            begin = packet.pts
        if packet.pts < begin:
            continue  # Shown before the key frame, and predicted from earlier frames.
        packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, track
        if packet.dts >= end:
            return
        later.append(packet)
        if packet.pts < end:
            yield from later
            later = []


def _with_decoding_times(clip: av.container.InputContainer, source: av.VideoStream) -> Packets:
    """Yield a stream's packets. If the container has no decoding times for the first ones, like Matroska, they get even
    steps before those that follow."""
    waiting: list[av.Packet[av.VideoStream]] = []
    with suppress(av.error.FFmpegError):  # A truncated file just ends.
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
        message = f"No frame of {name} from {part.start:g} s on can be decoded; choose another part of it."
        raise UserError(message, ExitCode.BAD_RANGE)
    yield from encoder.finish()


def _repeated(encoder: FrameEncoder, part: Part) -> Packets:
    """Encode a still image repeatedly, for players that seek by frames; repetitions take almost no space."""
    image = encoder.convert(_as_frame(whole_frame(part.info, part.info.path)))
    for place in range(max(1, ceil((part.seconds - _MIN_SHOWN) * STILL_RATE))):
        yield from encoder.encode(image, float(place / STILL_RATE))
    yield from encoder.finish()


def lasting(packets: Packets, seconds: float) -> Packets:
    """Yield the packets with their durations set so that the track ends after `seconds`."""
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
    """Ticks from a frame's time to the end of the video; at least one."""
    assert packet.time_base is not None
    assert packet.pts is not None
    return max(1, round(seconds / packet.time_base) - packet.pts)


def _shown(timed: Iterator[TimedFrame], part: Part) -> Iterator[TimedFrame]:
    """Yield frames with the output's times, beginning with the frame that is shown at the part's start, or with one
    that begins less than half a frame later and is nearer to it."""
    first: av.VideoFrame | None = None
    nearest = inf
    for time, frame in timed:
        if time - part.start < part.half_a_frame and (time <= part.start or time - part.start < nearest):
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
    """Yield a clip's whole frames, upright and posed, the left eye first, with their times in the clip."""
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
        before = sum(time - start < part.half_a_frame for time, _ in files)
        for time, file in files[max(0, before - 1) :]:  # from the first one shown
            if time - start < seconds:
                yield time, _as_frame(whole_frame(info, file))


def _left_eye_first(frame: Rgb, info: ClipInfo) -> Rgb:
    if not info.right_eye_first:
        return frame
    axis = 0 if info.stereo == "top-bottom" else 1
    return np.roll(frame, frame.shape[axis] // 2, axis)


def _as_frame(frame: Rgb) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
