"""When the frames of a video are shown, and how long it is, whatever its container says.

A container's time stamps may start again (recordings that were joined end to end), repeat, be missing, or tell when a
frame is decoded and not when it is shown (H.264 in AVI). Frames come in the order of presentation at ascending times
here, all of them and each once.
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
"""Frames that may be decoded before an earlier one is shown: H.264 and HEVC keep no more."""
_EXAMINED = 64
"""Packets that tell what kind of time stamps a stream has."""
_BACK_SECONDS = Fraction(1, 10)
"""Decoding times that go back by more start again; by less they are inexact. As FFmpeg's program has it."""
_FORWARD_SECONDS = Fraction(10)
"""By which they go forward, in containers whose clock may start again, where it did. As FFmpeg's program has it."""
_SLACK_SECONDS = Fraction(1, 2)
"""By which a header may claim more than there is: rounding, codecs' delays, a last frame without a duration."""
_SLACK_SHARE = Fraction(1, 100)
"""Of its length, likewise: headers round rates such as 23.976 a second."""


class Timeline(NamedTuple):
    """What has to be known of a video stream to tell the times of its frames."""

    unit: Fraction
    """Seconds a tick of its clock."""
    first: int
    """The tick of the first frame."""
    end: float
    """Where the last frame that can be read ends, in seconds from the first one's start."""
    declared: float | None
    """Where it ends by the container's header, if the file was cut off clearly before; else None."""
    seekable: bool
    """Whether a part can be read without what is before it."""
    in_decoding_order: bool
    """Whether its time stamps are those of decoding, though its frames are shown in another order."""
    continuous: bool
    """Whether its clock never starts again."""

    @property
    def copyable(self) -> bool:
        """Whether the packets' time stamps are right as they are."""
        return self.continuous and not self.in_decoding_order


TimedFrame = tuple[float, av.VideoFrame]


def timeline(path: Path) -> Timeline:
    """The timeline of a video file. Decodes the first frames; reads through files that say no length, that were cut
    off, and those whose clock may start again (MPEG-TS and -PS); once for each state of a file.

    Raises UserError (NOT_A_VIDEO) where no frame can be decoded."""
    state = path.stat()
    return _timeline(path, state.st_mtime_ns, state.st_size)


def timed_frames(path: Path, start: float = 0.0) -> Iterator[TimedFrame]:
    """Frames in the order of presentation with their ascending times in seconds from the clip's first frame, from the
    key frame before `start` on."""
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
    """A stream's packets from a container's place on, with time stamps that go on where the clock starts again. A file
    that is damaged may just end."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, in_decoding_order: bool) -> None:
        self._container, self._stream = container, stream
        self._in_decoding_order = in_decoding_order
        self.continuous = True
        """Whether the clock has not started again so far."""

    def __iter__(self) -> Iterator["av.Packet[av.VideoStream]"]:
        unit, step = _unit(self._stream), _step(self._stream)
        restarts = _may_restart(self._container)
        # Where containers have no decoding times FFmpeg makes them up, and they may go back as frames are reordered.
        back = _BACK_SECONDS / unit if restarts else _MAX_REORDERED * step
        forward = _FORWARD_SECONDS / unit if restarts else inf
        offset = 0
        last: int | None = None
        """The last packet's decoding time, as told."""
        end: int | None = None
        """Of the frames so far, when the clock is not counted anew."""
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
    """Whether a stream's time stamps ascend from packet to packet though its codec may reorder frames: then they are
    those of decoding, or, where no frame is reordered, of both."""
    packets = list(islice((packet for packet in _Packets(container, stream, False) if packet.size), _EXAMINED))
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    if not stamps:
        return any(packet.dts is not None for packet in packets)
    return stream.codec_context.reorder_depth > 0 and all(early <= late for early, late in pairwise(stamps))


def _decoded(packets: Iterable["av.Packet[av.VideoStream]"]) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """All frames that can be decoded, with their time stamps; damaged packets are passed over."""
    for packet in packets:
        with suppress(av.error.FFmpegError):
            for frame in packet.decode():
                yield frame.pts, frame


def _sorted(stamped: Iterable[tuple[int | None, av.VideoFrame]]) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """Frames with the time stamps that they have together, in ascending order; holds so many as can be reordered."""
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
    """Frames from a container's place on, in the order of presentation, with strictly ascending ticks; `start` is the
    first one's where it has none. One without a time stamp follows by the mean rate; one whose time stamp is not later
    than the last one's follows by half of that, the next by a quarter, so that the true times are met again."""
    step = gap = _step(stream)
    last: int | None = None
    stamped = _decoded(_Packets(container, stream, in_decoding_order))
    for told, frame in _sorted(stamped) if in_decoding_order else stamped:
        if told is None:
            tick = start if last is None else last + step
        elif last is not None and told <= last:
            gap = max(1, gap // 2)
            tick = last + gap
        else:
            tick, gap = told, step
        last = tick
        yield tick, frame


class _Length(NamedTuple):
    end: Fraction
    declared: Fraction | None
    continuous: bool


def _length(path: Path, first: int, in_decoding_order: bool) -> _Length:
    """Where a video ends, in seconds from its first frame's tick. What its header says is believed where it has packets
    near that end; else it is read through, without decoding."""
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
    """The end of the last of some packets in seconds on the stream's own clock, `begin` where there are none, and their
    number."""
    unit, step = _unit(stream), _step(stream)
    end, count = begin, 0
    for packet in packets:
        if packet.size > 0:
            stamp = end if packet.pts is None else packet.pts * unit
            end = max(end, stamp + (packet.duration or step) * unit)
            count += 1
    return end, count


def _may_restart(container: av.container.InputContainer) -> bool:
    """Whether a container's clock may start again on purpose."""
    return Flags.ts_discont in Flags(container.format.flags)


def _unit(stream: av.VideoStream) -> Fraction:
    """Seconds a tick of a stream's clock."""
    return stream.time_base or Fraction(1, 1000)


def _step(stream: av.VideoStream) -> int:
    """Ticks from a frame to the next one, by the mean rate."""
    return max(1, round(1 / (mean_rate(stream) * _unit(stream))))
