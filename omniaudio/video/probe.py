"""Probing a clip: a video, a still image, or an image sequence."""

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
"""Default frame rate of an image sequence: Blender's."""


class ClipInfo(BaseModel):
    """The properties of a clip. Sizes are in pixels, times in seconds."""

    model_config = ConfigDict(frozen=True)

    path: Path
    kind: Literal["video", "still", "sequence"]
    codec: str
    width: int
    height: int
    """As stored."""
    pixel_aspect: Fraction
    rotation: int
    """Degrees counter-clockwise by which stored frames are rotated to be upright."""
    mirrored: bool
    """Whether left and right are exchanged before the rotation."""
    rotation_usable: bool
    """Whether the display matrix is missing or rotates by whole quarter turns; otherwise frames stay as stored."""
    pose: Pose | None
    """The rotation of the sphere after that; None if there is none."""
    aspect: float
    """Width over height of one eye, upright, in square pixels: about 2, unless a panorama is stretched."""
    frame_width: int
    frame_height: int
    """Size of the frames that `Clip.frames` yields: one eye, upright, and 2:1 if it may be a panorama."""
    fps: Fraction | None
    """The mean frame rate; None for a still."""
    duration: float | None
    """From the first frame to the end of the last readable one; None for a still."""
    declared_duration: float | None = None
    """The duration in the file's header, if the file is clearly truncated before it; else None."""
    frames: int | None
    """The number of frames that the file declares, or duration times rate; None for a still."""
    audio_channels: int
    """0 without sound."""
    projection: str | None
    """As declared by the metadata: `equirectangular` for a whole panorama, another name for other projections."""
    stereo: Stereo
    stereo_declared: bool
    """Whether the metadata declare it; else it was inferred from the shape and the similarity of the two halves."""
    right_eye_first: bool

    @property
    def stored_as_shown(self) -> bool:
        """Whether players that ignore display matrix and pose show it correctly, left eye first."""
        return not (self.rotation or self.mirrored or self.pose or self.right_eye_first)

    @property
    def has_audio(self) -> bool:
        return self.audio_channels > 0


def probe(path: Path, sequence_rate: Fraction = SEQUENCE_RATE) -> ClipInfo:
    """Probe a file, a folder or a sequence. Decodes one frame, and reads more only of truncated files.

    Raises UserError: NO_INPUT if the path does not exist, NOT_A_VIDEO if it holds no frame."""
    if is_sequence(check_name(path)):
        return _probe_sequence(path, sequence_rate)
    check_readable(path, "a 360° video or image")
    return _probe_still(path) if is_still(path) else _probe_video(path)


def whole_frame(info: ClipInfo, source: av.VideoFrame | Path) -> Rgb:
    """Convert a decoded frame, or read an image file, to RGB: upright, posed, with both eyes if it has two."""
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
        by_matrix = upright(frame)
        stands = by_matrix or Upright()
        image = stands(_pixels(frame))
        across = aspect if stands.rotation % 180 == 0 else 1 / aspect
        whole = min(image.shape[:2]) > 1  # One pixel cannot be two eyes.
        stereo = (metadata.stereo or guessed_stereo(image, across)) if whole else "mono"
        shape = eye_aspect(image.shape[1], image.shape[0], across, stereo)
        size = panorama_size(image.shape[1], image.shape[0], across, stereo, metadata.projection)
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
            rotation_usable=by_matrix is not None,
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
    return _image_info(path, "still", path)


def _probe_sequence(path: Path, rate: Fraction) -> ClipInfo:
    files = sequence_files(path)
    info = _image_info(path, "sequence", files[0][1])
    count = files[-1][0] + 1
    return info.model_copy(update={"fps": rate, "duration": float(count / rate), "frames": count})


def _image_info(path: Path, kind: Literal["still", "sequence"], file: Path) -> ClipInfo:
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
