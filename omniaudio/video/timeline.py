"""When the frames of a video are shown, and how long it is, whatever its container says.

A container's time stamps may restart (recordings joined end to end), repeat, be missing, or be decoding times instead
of presentation times (H.264 in AVI). This module yields every frame once, in presentation order, at ascending times.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from heapq import heappop, heappush
from itertools import islice, pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

import av
import av.container
import av.error
from av.format import Flags

from omniaudio.video.container import mean_rate, no_frame, open_file, video_stream
from omniaudio.video.truncation import declared_end, is_whole

_MAX_REORDERED = 16
"""Frames that may be decoded before an earlier one is shown: the limit of H.264 and HEVC."""
_EXAMINED = 64
"""Packets read to find out what kind of time stamps a stream has."""
_BACK_SECONDS = Fraction(1, 10)
"""Decoding times that go back by more have restarted; by less, they are inexact. As in the ffmpeg program."""
_FORWARD_SECONDS = Fraction(10)
"""In containers whose clock may restart, a larger step forward means that it did. As in the ffmpeg program."""
_SLACK_SECONDS = Fraction(1, 2)
"""How much more a header may claim than there is: rounding, codec delay, a last frame without a duration."""
_SLACK_SHARE = Fraction(1, 100)
"""The same as a share of the length: headers round frame rates such as 23.976."""


class Timeline(NamedTuple):
    """What is needed to compute the times of a video stream's frames."""

    unit: Fraction
    """Seconds per tick of its clock."""
    first: int
    """The tick of the first frame."""
    end: float
    """The end of the last readable frame, in seconds from the first one's start."""
    declared: float | None
    """The end by the container's header, if the file is clearly truncated before it; else None."""
    seekable: bool
    """Whether a part can be read without reading what precedes it."""
    in_decoding_order: bool
    """Whether its time stamps are decoding times although its frames are reordered."""
    continuous: bool
    """Whether its clock never restarts."""

    @property
    def copyable(self) -> bool:
        """Whether the packets' time stamps can be copied unchanged."""
        return self.continuous and not self.in_decoding_order


TimedFrame = tuple[float, av.VideoFrame]


def timeline(path: Path) -> Timeline:
    """The timeline of a video file. Decodes the first frames, and reads through files without a declared length,
    truncated files, and those whose clock may restart (MPEG-TS and -PS). Cached until the file changes.

    Raises UserError (NOT_A_VIDEO) if no frame can be decoded."""
    state = path.stat()
    return _timeline(path, state.st_mtime_ns, state.st_size)


def timed_frames(path: Path, start: float = 0.0) -> Iterator[TimedFrame]:
    """Yield frames in presentation order with their times in seconds from the clip's first frame, from the key frame
    before `start` on."""
    line = timeline(path)
    for seeks in (True, False) if start > 0 and line.seekable else (False,):
        with open_file(path) as container:
            stream = video_stream(container, path)
            if seeks:
                try:
                    container.seek(int(start / line.unit) + line.first, stream=stream)
                except av.error.FFmpegError:
                    continue
            too_late = seeks
            for stamp, frame in _stamped(container, stream, line.in_decoding_order, line.first):
                time = float((stamp - line.first) * line.unit)
                if too_late and time > start:
                    break  # The container cannot seek; read it from its start.
                too_late = False
                yield time, frame
            if not too_late:
                return


@lru_cache(maxsize=64)
def _timeline(path: Path, _modified: int, _size: int) -> Timeline:
    with open_file(path) as container:
        in_decoding_order = _tells_decoding_order(container, video_stream(container, path))
    with open_file(path) as container:
        stream = video_stream(container, path)
        unit = _unit(stream)
        first, frame = next(_stamped(container, stream, in_decoding_order, stream.start_time or 0), (None, None))
    if first is None or frame is None:
        raise no_frame(path)
    length = _length(path, first, in_decoding_order)
    return Timeline(
        unit=unit,
        first=first,
        end=float(length.end),
        declared=None if length.declared is None else float(length.declared),
        seekable=length.continuous and frame.pts is not None,
        in_decoding_order=in_decoding_order,
        continuous=length.continuous,
    )


class _Packets:
    """A stream's packets from a container's current position on; time stamps continue where the clock restarts. A
    damaged file just ends."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, in_decoding_order: bool) -> None:
        self._container, self._stream = container, stream
        self._in_decoding_order = in_decoding_order
        self.continuous = True
        """Whether the clock has not restarted so far."""

    def __iter__(self) -> Iterator["av.Packet[av.VideoStream]"]:
        unit, step = _unit(self._stream), _step(self._stream)
        restarts = _may_restart(self._container)
        # If a container has no decoding times, FFmpeg makes them up, and they may go back as frames are reordered.
        back = _BACK_SECONDS / unit if restarts else _MAX_REORDERED * step
        forward = _FORWARD_SECONDS / unit if restarts else inf
        offset = 0
        last: int | None = None
        """The last packet's decoding time, as stored."""
        end: int | None = None
        """The end of the frames so far, on the continued clock."""
        with suppress(av.error.FFmpegError):
            for packet in self._container.demux(self._stream):
                dts = packet.dts
                if packet.pts is None and self._in_decoding_order:
                    packet.pts = dts
                stamp = dts if packet.pts is None else packet.pts
                jumps = dts is not None and last is not None and not -back <= dts - last <= forward
                if jumps and end is not None and stamp is not None:
                    self.continuous, offset = False, end - stamp
                if dts is not None:
                    last, packet.dts = dts, dts + offset
                if packet.pts is not None:
                    packet.pts += offset
                if stamp is not None:
                    ends = stamp + offset + (packet.duration or step)
                    end = ends if end is None else max(end, ends)
                yield packet


def _tells_decoding_order(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Whether a stream's time stamps ascend from packet to packet although its codec may reorder frames: then they are
    decoding times, or, if no frame is reordered, both."""
    packets = list(islice((packet for packet in _Packets(container, stream, False) if packet.size), _EXAMINED))
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    if not stamps:
        return any(packet.dts is not None for packet in packets)
    return stream.codec_context.reorder_depth > 0 and all(early <= late for early, late in pairwise(stamps))


def _decoded(packets: Iterable["av.Packet[av.VideoStream]"]) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """Yield all decodable frames with their time stamps; damaged packets are skipped."""
    for packet in packets:
        with suppress(av.error.FFmpegError):
            for frame in packet.decode():
                yield frame.pts, frame


def _sorted(stamped: Iterable[tuple[int | None, av.VideoFrame]]) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """Yield frames with their time stamps sorted in ascending order; holds as many as can be reordered."""
    stamps: list[int] = []
    frames: deque[av.VideoFrame] = deque()
    for stamp, frame in stamped:
        frames.append(frame)
        if stamp is not None:
            heappush(stamps, stamp)
        if len(frames) > _MAX_REORDERED:
            yield heappop(stamps) if stamps else None, frames.popleft()
    for frame in frames:
        yield heappop(stamps) if stamps else None, frame


def _stamped(
    container: av.container.InputContainer, stream: av.VideoStream, in_decoding_order: bool, start: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield frames from a container's current position on, in presentation order, with strictly ascending ticks;
    `start` is the first one's if it has no time stamp. A frame without a time stamp follows by the mean rate; one not
    later than the last frame follows by half of that, the next by a quarter, so that the true times are met again."""
    step = gap = _step(stream)
    last: int | None = None
    stamped = _decoded(_Packets(container, stream, in_decoding_order))
    for stored, frame in _sorted(stamped) if in_decoding_order else stamped:
        if stored is None:
            tick = start if last is None else last + step
        elif last is not None and stored <= last:
            gap = max(1, gap // 2)
            tick = last + gap
        else:
            tick, gap = stored, step
        last = tick
        yield tick, frame


class _Length(NamedTuple):
    end: Fraction
    declared: Fraction | None
    continuous: bool


def _length(path: Path, first: int, in_decoding_order: bool) -> _Length:
    """The end of a video, in seconds from its first frame's tick. The header's end is trusted if there are packets near
    it; else the file is read through, without decoding."""
    with open_file(path) as container:
        stream = video_stream(container, path)
        unit = _unit(stream)
        begin = first * unit
        declared = declared_end(container, stream, begin)
        slack = max(_SLACK_SECONDS, 2 * _step(stream) * unit)
        if declared is not None and declared.end - slack > begin and not _may_restart(container):
            near = declared.end - slack
            with suppress(av.error.FFmpegError):
                container.seek(int(near / unit), stream=stream)
                packets = _Packets(container, stream, in_decoding_order)
                end, _ = _last_end(packets, stream, begin)
                if end >= near:
                    end = min(end, declared.end) if declared.of_stream and packets.continuous else end
                    return _Length(end - begin, None, packets.continuous)
    with open_file(path) as container:
        stream = video_stream(container, path)
        packets = _Packets(container, stream, in_decoding_order)
        end, count = _last_end(packets, stream, begin)
        claimed = None if declared is None else declared.end
        if claimed is not None and (
            claimed - end <= max(slack, _SLACK_SHARE * (claimed - begin))
            or is_whole(path, container, stream, count, claimed - slack)
        ):
            claimed = None
    return _Length(end - begin, None if claimed is None else claimed - begin, packets.continuous)


def _last_end(packets: _Packets, stream: av.VideoStream, begin: Fraction) -> tuple[Fraction, int]:
    """The end of the last packet, in seconds on the stream's own clock (`begin` if there is none), and the number of
    packets."""
    unit, step = _unit(stream), _step(stream)
    end, count = begin, 0
    for packet in packets:
        if packet.size > 0:
            stamp = end if packet.pts is None else packet.pts * unit
            end = max(end, stamp + (packet.duration or step) * unit)
            count += 1
    return end, count


def _may_restart(container: av.container.InputContainer) -> bool:
    """Whether a container's format allows its clock to restart."""
    return Flags.ts_discont in Flags(container.format.flags)


def _unit(stream: av.VideoStream) -> Fraction:
    """Seconds per tick of a stream's clock."""
    return stream.time_base or Fraction(1, 1000)


def _step(stream: av.VideoStream) -> int:
    """Ticks from one frame to the next, by the mean rate."""
    return max(1, round(1 / (mean_rate(stream) * _unit(stream))))
