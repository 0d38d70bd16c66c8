"""Reading a clip: what is in the file, and its pictures at a wanted rate, streamed by PyAV in constant memory.

Whatever the file, pictures come out as `uint8 (height, width, 3)` RGB with square pixels, upright (the display matrix
and the sphere's pose are applied), one eye of a stereo picture (the left one), a panorama that was stretched to another
shape twice as wide as high again, at times that start with the clip's first picture. A clip is a
video, a still picture, or an image sequence (a folder, or a name with #### or %04d where the numbers are).
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import ceil, isfinite
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import av
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict

from omniaudio.errors import ExitCode, UserError
from omniaudio.paths import check_name, check_readable
from omniaudio.video.container import Stereo, mean_rate, open_file, video_stream
from omniaudio.video.pose import Pose, Upright, posed, read_gpano_pose
from omniaudio.video.projection import eye_aspect, guessed_stereo, panorama_size
from omniaudio.video.spherical_tags import spherical, upright
from omniaudio.video.stills import is_sequence, is_still, read_described_still, read_still, sequence_files
from omniaudio.video.timeline import timed_frames, timeline

Picture = npt.NDArray[np.uint8]
T = TypeVar("T")
_Source = av.VideoFrame | Path
"""What a picture is made of: a decoded frame, or a picture's file."""

SEQUENCE_RATE = Fraction(24)
"""Pictures a second of an image sequence, unless it is told: Blender's own."""


class VideoInfo(BaseModel):
    """What a clip is. Sizes are in pixels, times in seconds."""

    model_config = ConfigDict(frozen=True)

    path: Path
    kind: Literal["video", "still", "sequence"]
    codec: str
    width: int
    height: int
    """As stored."""
    pixel_aspect: Fraction
    rotation: int
    """Degrees counter-clockwise that the stored picture is turned by to be upright."""
    mirrored: bool
    """Whether left and right are exchanged before that."""
    rotation_usable: bool
    """Whether the file says by whole quarters which way is up, or says nothing; else the picture stays as it is."""
    pose: Pose | None
    """How the sphere is turned after that; None where it is not."""
    aspect: float
    """Width over height of one eye, upright, in square pixels: about 2, or a panorama is stretched."""
    picture_width: int
    picture_height: int
    """Of the pictures that `frames` gives: one eye, upright, and twice as wide as high if it may be a panorama."""
    fps: Fraction | None
    """The mean; None for a still."""
    duration: float | None
    """From the first picture to the end of the last one that can be read; None for a still."""
    declared_duration: float | None = None
    """What the file's header says, where the file was cut off clearly before; else None."""
    frames: int | None
    """As the file says or by duration and rate; None for a still."""
    audio_channels: int
    """0 without sound."""
    projection: str | None
    """As the metadata declare it: `equirectangular` for a whole panorama, another name for other projections."""
    stereo: Stereo
    stereo_declared: bool
    """Whether the metadata say so; else it was told from the shape and the likeness of the two halves."""
    right_eye_first: bool

    @property
    def stored_as_shown(self) -> bool:
        """Whether players that know neither display matrix nor pose show it right, and the left eye first."""
        return not (self.rotation or self.mirrored or self.pose or self.right_eye_first)

    @property
    def has_audio(self) -> bool:
        return self.audio_channels > 0


class Frame(NamedTuple):
    """A picture of a clip."""

    time: float
    """The wanted time, in seconds from the clip's first picture."""
    image: Picture


def probe(path: Path, sequence_rate: Fraction = SEQUENCE_RATE) -> VideoInfo:
    """What is in a file, a folder or a sequence. Decodes one picture; reads on only in files that are cut off.

    Raises UserError: NO_INPUT where nothing is there, NOT_A_VIDEO where there is no picture in it."""
    if is_sequence(check_name(path)):
        return _probe_sequence(path, sequence_rate)
    check_readable(path, "a 360° video or picture")
    return _probe_still(path) if is_still(path) else _probe_video(path)


def time_range(info: VideoInfo, start: float = 0.0, duration: float | None = None) -> tuple[float, float]:
    """The start and the length in seconds of a wanted part of a clip; to its end where no duration is given.

    Raises UserError (BAD_RANGE) where the clip does not hold it, or a still is given no duration."""
    if not isfinite(start) or start < 0:
        raise UserError(f"A clip starts at 0 s; start there or later, not at {start:g} s.", ExitCode.BAD_RANGE)
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise UserError(f"A duration is longer than 0 s; give one, not {duration:g} s.", ExitCode.BAD_RANGE)
    if info.duration is None:
        if duration is None:
            raise UserError(f"{info.path.name} is a still picture; say how long with --duration.", ExitCode.BAD_RANGE)
        return start, duration
    if start >= info.duration:
        raise UserError(
            f"{info.path.name} is {info.duration:.2f} s long; start before that, not at {start:g} s.",
            ExitCode.BAD_RANGE,
        )
    rest = info.duration - start
    if duration is not None and duration > rest + _slack(info):
        raise UserError(
            f"{info.path.name} is {info.duration:.2f} s long; from {start:g} s on, ask for {rest:.2f} s at most, "
            f"not for {duration:g} s.",
            ExitCode.BAD_RANGE,
        )
    return start, rest if duration is None else min(duration, rest)


def wanted_range(info: VideoInfo, start: float, duration: float | None, allow_truncated: bool) -> tuple[float, float]:
    """The range that a person wants of a clip: as `time_range`, but of a file that was cut off.

    Of that one a range is taken that can be read whole. Any other is refused, or with `allow_truncated` ends where the
    clip does.

    Raises UserError (TRUNCATED; BAD_RANGE as `time_range`)."""
    if info.declared_duration is not None:
        end = info.declared_duration if duration is None else start + duration
        check_truncation(info, end, allow_truncated)
        if (info.duration or 0) + _slack(info) < end <= info.declared_duration + _slack(info):
            duration = None
    return time_range(info, start, duration)


def check_truncation(info: VideoInfo, end: float, allow_truncated: bool) -> None:
    """Refuses to take what is left of a file that was cut off for all of it up to `end`, in seconds.

    Raises UserError (TRUNCATED)."""
    declared, readable = info.declared_duration, info.duration
    if allow_truncated or declared is None or readable is None or not end > readable + _slack(info):
        return
    raise UserError(
        f"{info.path.name} is cut off: its header says {declared:.2f} s, and {readable:.2f} s can be read; copy or "
        f"export it again, or use --allow-truncated for what can be read.",
        ExitCode.TRUNCATED,
    )


def _slack(info: VideoInfo) -> float:
    """Seconds by which a range may be too long: people round to a frame or to a hundredth of a second."""
    return max(0.01, 1 / float(info.fps or 25))


def frame_times(rate: float, start: float, length: float) -> list[float]:
    """The times start + k/rate of all k ≥ 0 before start + length, in seconds; at least one."""
    count = max(1, ceil(round(length * rate, 6)))
    return [start + k / rate for k in range(count)]


def frames(
    path: Path,
    rate: float,
    start: float = 0.0,
    duration: float | None = None,
    sequence_rate: Fraction = SEQUENCE_RATE,
) -> Iterator[Frame]:
    """The pictures nearest to the times start + k/rate, `rate` a second, one after the other.

    Arguments are checked at the call, pictures are read while iterating; a few are held at a time.

    Raises UserError as `probe` and `time_range` do."""
    if not (isfinite(rate) and rate > 0):
        raise ValueError(f"a rate is above 0, not {rate}")
    info = probe(path, sequence_rate)
    return _pictures(info, frame_times(rate, *time_range(info, start, duration)))


def frame_at(path: Path, time: float = 0.0, sequence_rate: Fraction = SEQUENCE_RATE) -> Picture:
    """The picture nearest to a time in seconds. Raises UserError as `probe` and `time_range` do."""
    return picture_at(probe(path, sequence_rate), time)


def picture_at(info: VideoInfo, time: float) -> Picture:
    """The picture of a clip that has been probed nearest to a time. Raises UserError as `time_range` does."""
    start, _ = time_range(info, time, 1.0 if info.duration is None else None)
    return next(_pictures(info, [start])).image


def nearest(timed: Iterable[tuple[float, T]], times: Sequence[float]) -> Iterator[T]:
    """For each of the ascending `times` the item nearest to it, the earlier one of two as near.

    `timed` are items with their ascending times; one that is not later than the one before is left out. Reads no
    further than needed and holds two items. Yields nothing where there are no items."""
    items = iter(timed)
    before = next(items, None)
    if before is None:
        return
    after = next(items, None)
    for time in times:
        while after is not None and after[0] - time < abs(before[0] - time):
            if after[0] > before[0]:
                before = after
            after = next(items, None)
        yield before[1]


# --- Pictures -------------------------------------------------------------------------------------------------------


def _pictures(info: VideoInfo, times: Sequence[float]) -> Iterator[Frame]:
    """The pictures nearest to ascending times; each is converted once, however often it is wanted."""
    last: _Source | None = None
    for time, source in zip(times, nearest(_timed(info, times[0]), times), strict=False):
        if source is not last:
            last, image = source, _picture(info, source)
        yield Frame(time, image)
    if last is None:
        raise UserError(
            f"No picture of {info.path.name} from {times[0]:g} s on can be decoded; choose another part of it.",
            ExitCode.BAD_RANGE,
        )


def _timed(info: VideoInfo, start: float) -> Iterator[tuple[float, _Source]]:
    if info.kind == "video":
        return timed_frames(info.path, start)
    if info.kind == "still":
        return iter([(0.0, info.path)])
    assert info.fps is not None
    rate = float(info.fps)
    return ((place / rate, file) for place, file in sequence_files(info.path))


def _picture(info: VideoInfo, source: _Source) -> Picture:
    """One eye, upright, in square pixels."""
    return _shown(whole_picture(info, source), info)


def whole_picture(info: VideoInfo, source: av.VideoFrame | Path) -> Picture:
    """A decoded frame or a picture's file in RGB, upright and posed, with both eyes where it has two."""
    if isinstance(source, Path):
        return posed(read_still(source), info.pose, info.stereo)
    return posed(Upright(info.rotation, info.mirrored)(_pixels(source)), info.pose, info.stereo)


def _pixels(frame: av.VideoFrame) -> Picture:
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _shown(upright: Picture, info: VideoInfo) -> Picture:
    height, width = upright.shape[:2]
    if info.stereo == "top-bottom":
        upright = upright[height // 2 :] if info.right_eye_first else upright[: height // 2]
    elif info.stereo == "side-by-side":
        upright = upright[:, width // 2 :] if info.right_eye_first else upright[:, : width // 2]
    size = (info.picture_width, info.picture_height)
    if upright.shape[:2] == size[::-1]:
        return np.ascontiguousarray(upright)
    return np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BICUBIC))


def _probe_video(path: Path) -> VideoInfo:
    line = timeline(path)
    with open_file(path) as container:
        stream = video_stream(container, path)
        _, frame = next(timed_frames(path))
        aspect = stream.sample_aspect_ratio or Fraction(1)
        fps = mean_rate(stream)
        counted = stream.frames if line.declared is None and line.continuous else 0
        metadata = spherical(frame, path, stream)
        turn = upright(frame)
        stands = turn or Upright()
        picture = stands(_pixels(frame))
        across = aspect if stands.rotation % 180 == 0 else 1 / aspect
        whole = min(picture.shape[:2]) > 1  # one pixel cannot be two eyes
        stereo = (metadata.stereo or guessed_stereo(picture, across)) if whole else "mono"
        shape = eye_aspect(picture.shape[1], picture.shape[0], across, stereo)
        size = panorama_size(picture.shape[1], picture.shape[0], across, stereo, metadata.projection)
        sound = container.streams.audio
        return VideoInfo(
            path=path,
            kind="video",
            codec=stream.codec_context.codec.canonical_name,
            width=frame.width,
            height=frame.height,
            pixel_aspect=aspect,
            rotation=stands.rotation,
            mirrored=stands.mirrored,
            rotation_usable=turn is not None,
            pose=metadata.pose,
            aspect=shape,
            picture_width=size[0],
            picture_height=size[1],
            fps=fps,
            duration=line.end,
            declared_duration=line.declared,
            frames=counted or max(1, round(line.end * fps)),
            audio_channels=sound[0].codec_context.channels if sound else 0,
            projection=metadata.projection,
            stereo=stereo,
            stereo_declared=metadata.stereo is not None,
            right_eye_first=metadata.right_eye_first,
        )


# --- Stills, sequences, shapes --------------------------------------------------------------------------------------


def _probe_still(path: Path) -> VideoInfo:
    return _info_of_pictures(path, "still", path)


def _probe_sequence(path: Path, rate: Fraction) -> VideoInfo:
    files = sequence_files(path)
    info = _info_of_pictures(path, "sequence", files[0][1])
    count = files[-1][0] + 1
    return info.model_copy(update={"fps": rate, "duration": float(count / rate), "frames": count})


def _info_of_pictures(path: Path, kind: Literal["still", "sequence"], file: Path) -> VideoInfo:
    image, gpano = read_described_still(file)
    height, width = image.shape[:2]
    projection = gpano.projection if gpano else None
    stereo = guessed_stereo(image, Fraction(1))
    size = panorama_size(width, height, Fraction(1), stereo, projection)
    return VideoInfo(
        path=path,
        kind=kind,
        codec=file.suffix[1:].lower(),
        width=width,
        height=height,
        pixel_aspect=Fraction(1),
        rotation=0,
        mirrored=False,
        rotation_usable=True,
        pose=read_gpano_pose(gpano.pitch, gpano.roll) if gpano else None,
        aspect=eye_aspect(width, height, Fraction(1), stereo),
        picture_width=size[0],
        picture_height=size[1],
        fps=None,
        duration=None,
        frames=None,
        audio_channels=0,
        projection=projection,
        stereo=stereo,
        stereo_declared=False,
        right_eye_first=False,
    )
