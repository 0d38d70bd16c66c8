"""The moving picture beside a sound: where on the panorama it comes from, moment by moment, as an MP4.

Each picture shows the fifth of a second round its time as `soundmap` does, in dB below the loudest direction. The
loudest direction is that of the seconds around, so that a quiet passage is seen after a loud one, and a pause is not.
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
from omniaudio.video.h264 import PictureEncoder
from omniaudio.video.probe import SEQUENCE_RATE, ClipInfo, Picture
from omniaudio.video.time_range import time_range

Pixels = npt.NDArray[np.float32]

HEIGHT = 640
"""Pixels; twice as many across."""
FASTEST = 30
"""Pictures a second at most: of faster clips every second one is drawn."""

_WINDOW_SECONDS = 0.2
_FALL_DB = 6.0
"""A second: how fast the loudest direction is forgotten, before it and after."""
_DEEPEST_DB = 50.0
"""Below the loudest of all, where even a long quiet passage is no longer drawn: noise."""


class MapMovie(BaseModel):
    """What is wanted: `sound` (AmbiX) drawn over `picture` (a 360° video, still or image sequence), as `output`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: InputPath
    picture: InputPath
    output: OutputPath = Field(description="an .mp4 without sound, as long as `sound`")
    picture_start: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="seconds of the picture at which the sound begins"
    )


def draw_movie(request: MapMovie, report: Callable[[Report], None]) -> Path:
    """Draw where a sound comes from over its panorama, as a film that is as long as the sound.

    The film has the picture's own rate (its half above 30 a second, 24 for a still). Of a picture that ends before the
    sound the last one stays. The sound is read twice, which keeps memory constant but for one number a picture.

    Args:
        request: what is wanted.
        report: told of every step; what it raises ends the work, and nothing half-written stays.

    Returns:
        The file that was written.

    Raises:
        UserError: picture or sound cannot be read, the picture ends before `picture_start`, or the target cannot be
            written.
    """
    sound = open_sound(request.sound)
    check_output(request.output, ".mp4", request.sound, request.picture)
    clip = Clip(request.picture)
    info = clip.info
    start, rest = time_range(info, request.picture_start, sound.seconds if info.duration is None else None)
    rate = _rate(info)
    count = max(1, ceil(round(sound.seconds * rate, 6)))
    progress = Progress(report, [Task("listen", count, 0.01), Task("draw", count, 0.06)])
    with replacing(request.output) as partial:
        progress.begin("listen")
        peaks = []
        for cells in _densities(sound, rate, count):
            peaks.append(cells.max())
            progress.advance("listen")
        loudest = loudness_around(np.array(peaks), float(rate))
        progress.begin("draw")
        pictures = _held(clip.frames(float(rate), start, min(rest, sound.seconds)))
        with av.open(f"file:{partial}", "w", format="mp4", options={"movflags": "faststart"}) as film:
            encoder = PictureEncoder(film, (2 * HEIGHT, HEIGHT), rate)

            def packets() -> Iterator["av.Packet[av.VideoStream]"]:
                scene = zip(pictures, _densities(sound, rate, count), loudest, strict=False)
                for place, (background, cells, reference) in enumerate(scene):
                    yield from encoder.encode(_drawn(background, cells, reference), float(place / rate))
                    progress.advance("draw")
                yield from encoder.finish()

            for packet in lasting(packets(), sound.seconds):
                film.mux(packet)
    return request.output


def loudness_around(peaks: Floats, rate: float) -> Floats:
    """What counts as loudest at each of `peaks` (densities, `rate` a second): the largest of all peaks, each forgotten
    at 6 dB a second before and after its time, and never less than 50 dB below the largest."""
    kept = 10 ** (-_FALL_DB / 10 / rate)
    after = list(accumulate(peaks, lambda held, peak: max(held * kept, peak)))
    around = list(accumulate(reversed(after), lambda held, peak: max(held * kept, peak)))[::-1]
    return np.maximum(around, np.max(peaks) * 10 ** (-_DEEPEST_DB / 10))


def _rate(info: ClipInfo) -> Fraction:
    rate = info.fps or SEQUENCE_RATE
    while rate > FASTEST:
        rate /= 2
    return rate


def _densities(sound: SoundFile, rate: Fraction, count: int) -> Iterator[Floats]:
    """For each picture, the density of the sound around its time in the cells of a panorama."""
    for window in _windows(sound, rate, count):
        yield density(directions(window, sound.rate)[0])


def _windows(sound: SoundFile, rate: Fraction, count: int) -> Iterator[Sound]:
    """The samples around the middle of each picture, as far as the sound reaches, silence beyond it."""
    length = round(_WINDOW_SECONDS * sound.rate)
    blocks = sound.blocks()
    held: Sound = np.zeros((CHANNELS, 0), np.float32)
    first = 0
    """The sample that `held` begins with."""
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
    """The pictures' backgrounds, each made once; the last one stays."""
    source: Picture | None = None
    made: Pixels | None = None
    for frame in frames:
        if made is None or frame.image is not source:
            source, made = frame.image, stepped_back(frame.image, HEIGHT)
        yield made
    while made is not None:
        yield made


def _drawn(background: Pixels, cells: Floats, reference: float) -> av.VideoFrame:
    picture = background.copy()
    if reference > 0:
        paint(picture, cells / reference)
    image = Image.fromarray(picture.round().astype(np.uint8))
    lines = graticule(HEIGHT)
    image.paste(lines, mask=lines)
    return av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
