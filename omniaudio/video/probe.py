"""What a clip is: probed from a video, a still image, or an image sequence."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from pydantic import BaseModel, ConfigDict

from omniaudio.paths import check_name, check_readable
from omniaudio.video.container import Stereo, mean_rate, open_file, video_stream
from omniaudio.video.panorama import Rgb
from omniaudio.video.pose import Pose, Upright, posed, read_gpano_pose
from omniaudio.video.projection import eye_aspect, guessed_stereo, panorama_size
from omniaudio.video.spherical_tags import spherical, upright
from omniaudio.video.stills import is_sequence, is_still, read_described_still, read_still, sequence_files
from omniaudio.video.timeline import timed_frames, timeline

SEQUENCE_RATE = Fraction(24)
"""Frames a second of an image sequence, unless told otherwise: Blender's default."""


class ClipInfo(BaseModel):
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
    frame_width: int
    frame_height: int
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


def probe(path: Path, sequence_rate: Fraction = SEQUENCE_RATE) -> ClipInfo:
    """What is in a file, a folder or a sequence. Decodes one picture; reads on only in files that are cut off.

    Raises UserError: NO_INPUT where nothing is there, NOT_A_VIDEO where there is no picture in it."""
    if is_sequence(check_name(path)):
        return _probe_sequence(path, sequence_rate)
    check_readable(path, "a 360° video or picture")
    return _probe_still(path) if is_still(path) else _probe_video(path)


def whole_frame(info: ClipInfo, source: av.VideoFrame | Path) -> Rgb:
    """A decoded frame or a picture's file in RGB, upright and posed, with both eyes where it has two."""
    if isinstance(source, Path):
        return posed(read_still(source), info.pose, info.stereo)
    return posed(Upright(info.rotation, info.mirrored)(_pixels(source)), info.pose, info.stereo)


def _pixels(frame: av.VideoFrame) -> Rgb:
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _probe_video(path: Path) -> ClipInfo:
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
        return ClipInfo(
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
            frame_width=size[0],
            frame_height=size[1],
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


def _probe_still(path: Path) -> ClipInfo:
    return _info_of_pictures(path, "still", path)


def _probe_sequence(path: Path, rate: Fraction) -> ClipInfo:
    files = sequence_files(path)
    info = _info_of_pictures(path, "sequence", files[0][1])
    count = files[-1][0] + 1
    return info.model_copy(update={"fps": rate, "duration": float(count / rate), "frames": count})


def _info_of_pictures(path: Path, kind: Literal["still", "sequence"], file: Path) -> ClipInfo:
    image, gpano = read_described_still(file)
    height, width = image.shape[:2]
    projection = gpano.projection if gpano else None
    stereo = guessed_stereo(image, Fraction(1))
    size = panorama_size(width, height, Fraction(1), stereo, projection)
    return ClipInfo(
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
        frame_width=size[0],
        frame_height=size[1],
        fps=None,
        duration=None,
        frames=None,
        audio_channels=0,
        projection=projection,
        stereo=stereo,
        stereo_declared=False,
        right_eye_first=False,
    )
