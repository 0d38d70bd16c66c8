"""Videos and sounds of known content."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from omniaudio.video.panorama import Rgb

RATE = 48_000
UNIT = Fraction(1, 24000)
LEVELS = np.array([0.2, 0.1, 0.05, 0.025])
"""Levels of the four channels, so that exchanged channels are detected."""


def write_sound(path: Path, seconds: float, rate: int = RATE, subtype: str = "PCM_24") -> NDArray[np.float32]:
    """Noise `(4, samples)`, low-passed so that lossy codecs keep its waveform; as it reads back from the file."""
    samples = round(seconds * rate)
    raw = np.random.default_rng(3).normal(0, 1, (4, samples + 63))
    window = np.hanning(64) / np.hanning(64).sum()
    smooth = np.stack([np.convolve(channel, window, "valid") for channel in raw])
    smooth *= (LEVELS / smooth.std(axis=1))[:, None]
    soundfile.write(path, np.clip(smooth, -1, 1).T, rate, subtype=subtype)
    read: NDArray[np.float32] = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    return read


def numbered_frame(number: int, width: int = 128, height: int = 64) -> NDArray[np.uint8]:
    """A frame whose grey tells its number (0 to 29) however it is compressed."""
    return np.full((height, width, 3), 20 + 7 * number, np.uint8)


def number_of_frame(frame: av.VideoFrame) -> int:
    """Which `numbered_frame` it is."""
    return round((float(frame.to_ndarray(format="rgb24").mean()) - 20) / 7)


def write_noise_video(path: Path, sound_seconds: float = 0.0, **options: str) -> Path:
    """Six seconds of large frames at ten a second, and perhaps sound; `options` are the container's."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        sound = container.add_stream("mp3", rate=RATE, layout="mono") if sound_seconds else None
        for _ in range(60):
            noise = random.integers(0, 256, (64, 128, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None:
            beat = av.AudioFrame.from_ndarray(np.zeros((1, round(sound_seconds * RATE)), np.float32), "fltp", "mono")
            beat.rate = RATE
            container.mux(sound.encode(beat))
            container.mux(sound.encode(None))
    return path


def truncate(path: Path, share: float = 0.5) -> Path:
    """Truncate a file, as an interrupted download does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_numbered_video(path: Path, count: int, codec: str = "libx264", rate: int = 10, **options: Any) -> None:
    """Write numbered frames, with a key frame every ten, and B-frames if the codec has them."""
    pix_fmt = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options={"g": "10", **options})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 64, pix_fmt
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")))
        container.mux(stream.encode(None))


def write_video(
    path: Path,
    images: list[Rgb],
    rate: Fraction | int = 10,
    *,
    times: list[Fraction] | None = None,
    codec: str = "libx264",
    rotation: int | None = None,
    aspect: Fraction | None = None,
    tags: dict[str, str] | None = None,
    sound_channels: int = 0,
) -> Path:
    """Write images as a video, at a rate or at given times in seconds, with a key frame every five frames."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"g": "5"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 5
        stream.metadata.update(tags or {})
        if times:
            stream.codec_context.time_base = UNIT
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if sound_channels:
            sound = container.add_stream("aac", rate=44100, layout={1: "mono", 2: "stereo", 4: "4.0"}[sound_channels])
            assert isinstance(sound, av.AudioStream)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = (int(times[index] / UNIT), UNIT) if times else (index, 1 / Fraction(rate))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound_channels:
            silence = np.zeros((sound_channels, 1024), np.float32)
            beat = av.AudioFrame.from_ndarray(silence, "fltp", sound.layout.name)
            beat.rate = 44100
            container.mux(sound.encode(beat))
            container.mux(sound.encode())
    return path
