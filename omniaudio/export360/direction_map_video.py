"""The direction map as a video: where on the panorama a sound comes from, over time, as an MP4.

Each frame shows a fifth of a second around its time, as `direction_map` draws it, in dB below the loudest direction.
The loudest direction is taken over the surrounding seconds, so that quiet passages stay visible and pauses do not.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import accumulate
from math import ceil
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from omniaudio.analysis.direction_map import density, directions, graticule, paint, stepped_back
from omniaudio.audio.ambisonics import CHANNELS, Floats, Sound
from omniaudio.audio.reader import SoundFile, open_sound
from omniaudio.export360.video_track import lasting
from omniaudio.files import replacing
from omniaudio.output import check_output
from omniaudio.paths import InputPath, OutputPath
from omniaudio.progress import Progress, Report, Task
from omniaudio.video.clip import Clip, Frame
from omniaudio.video.h264 import FrameEncoder
from omniaudio.video.panorama import Rgb
from omniaudio.video.probe import SEQUENCE_RATE, ClipInfo
from omniaudio.video.time_range import time_range

Pixels = npt.NDArray[np.float32]

HEIGHT = 640
"""Pixels; the width is twice that."""
MAX_FRAME_RATE = 30
"""Frames per second; of faster clips every second frame is drawn."""

_WINDOW_SECONDS = 0.2
_FALL_DB = 6.0
"""Per second: how fast the reference level falls before and after a peak."""
_MAX_DEPTH_DB = 50.0
"""Below the loudest direction of the whole sound; anything quieter is noise and is not drawn."""


class DirectionMapVideoRequest(BaseModel):
    """A direction map of `sound` (AmbiX) over `clip` (a 360° video, still or image sequence), written to `output`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: InputPath
    clip: InputPath
    output: OutputPath = Field(description="an .mp4 without sound, with the length of `sound`")
    clip_start: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="time in the clip at which the sound begins, in seconds"
    )


def write_direction_map_video(request: DirectionMapVideoRequest, report: Callable[[Report], None]) -> Path:
    """Draw where a sound comes from over its panorama, as a video with the length of the sound.

    The video has the clip's frame rate (halved above 30 per second; 24 for a still image). If the clip ends before the
    sound, its last frame is held. The sound is read twice, so that memory grows by only one number per frame.

    Args:
        request: the clip, the sound and the output.
        report: called after each step; an exception cancels the job, and no partial file is left.

    Returns:
        The file that was written.

    Raises:
        UserError: the clip or the sound cannot be read, the clip ends before `clip_start`, or the output cannot be
            written.
    """
    sound = open_sound(request.sound)
    check_output(request.output, ".mp4", request.sound, request.clip)
    clip = Clip(request.clip)
    info = clip.info
    start, rest = time_range(info, request.clip_start, sound.seconds if info.duration is None else None)
    rate = _rate(info)
    count = max(1, ceil(round(sound.seconds * rate, 6)))
    progress = Progress(report, [Task("analyse", count, 0.01), Task("draw", count, 0.06)])
    with replacing(request.output) as partial:
        progress.begin("analyse")
        peaks = []
        for cells in _densities(sound, rate, count):
            peaks.append(cells.max())
            progress.advance("analyse")
        loudest = loudness_around(np.array(peaks), float(rate))
        progress.begin("draw")
        frames = _held(clip.frames(float(rate), start, min(rest, sound.seconds)))
        with av.open(f"file:{partial}", "w", format="mp4", options={"movflags": "faststart"}) as video:
            encoder = FrameEncoder(video, (2 * HEIGHT, HEIGHT), rate)

            def packets() -> Iterator["av.Packet[av.VideoStream]"]:
                scene = zip(frames, _densities(sound, rate, count), loudest, strict=False)
                for place, (background, cells, reference) in enumerate(scene):
                    yield from encoder.encode(_drawn(background, cells, reference), float(place / rate))
                    progress.advance("draw")
                yield from encoder.finish()

            for packet in lasting(packets(), sound.seconds):
                video.mux(packet)
    return request.output


def loudness_around(peaks: Floats, rate: float) -> Floats:
    """Return the reference level at each of `peaks` (densities, `rate` per second): the largest of all peaks, each
    falling by 6 dB per second before and after its time, and at least the largest peak minus 50 dB."""
    kept = 10 ** (-_FALL_DB / 10 / rate)
    after = list(accumulate(peaks, lambda held, peak: max(held * kept, peak)))
    around = list(accumulate(reversed(after), lambda held, peak: max(held * kept, peak)))[::-1]
    return np.maximum(around, np.max(peaks) * 10 ** (-_MAX_DEPTH_DB / 10))


def _rate(info: ClipInfo) -> Fraction:
    rate = info.fps or SEQUENCE_RATE
    while rate > MAX_FRAME_RATE:
        rate /= 2
    return rate


def _densities(sound: SoundFile, rate: Fraction, count: int) -> Iterator[Floats]:
    """For each frame, yield the density of the sound around its time in the cells of a panorama."""
    for window in _windows(sound, rate, count):
        yield density(directions(window, sound.rate)[0])


def _windows(sound: SoundFile, rate: Fraction, count: int) -> Iterator[Sound]:
    """For each frame, yield the samples around its middle, padded with silence beyond the sound."""
    length = round(_WINDOW_SECONDS * sound.rate)
    blocks = sound.blocks()
    held: Sound = np.zeros((CHANNELS, 0), np.float32)
    first = 0
    """The first sample in `held`."""
    for place in range(count):
        begin = round((place + Fraction(1, 2)) / rate * sound.rate) - length // 2
        while first + held.shape[1] < begin + length and (block := next(blocks, None)) is not None:
            held = np.concatenate([held, block], axis=1)
        dropped = min(max(0, begin - first), held.shape[1])
        held, first = held[:, dropped:], first + dropped
        inside = held[:, : max(0, begin + length - first)]
        before = max(0, first - begin)
        yield np.pad(inside, ((0, 0), (before, length - before - inside.shape[1])))


def _held(frames: Iterator[Frame]) -> Iterator[Pixels]:
    """Yield the frames' backgrounds, each computed once; the last one repeats."""
    source: Rgb | None = None
    made: Pixels | None = None
    for frame in frames:
        if made is None or frame.image is not source:
            source, made = frame.image, stepped_back(frame.image, HEIGHT)
        yield made
    while made is not None:
        yield made


def _drawn(background: Pixels, cells: Floats, reference: float) -> av.VideoFrame:
    pixels = background.copy()
    if reference > 0:
        paint(pixels, cells / reference)
    image = Image.fromarray(pixels.round().astype(np.uint8))
    lines = graticule(HEIGHT)
    image.paste(lines, mask=lines)
    return av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
