"""Inpainting: generates a part of a take again, from a crop of the take, and splices it in.

The latents of the take's own sound are held on both sides of the part while the part is sampled, so that the model
continues what is there (replacement conditioning: Lugmayr et al. 2022, "RePaint", section 4.1, on the straight path of
rectified flow). Decoders choose their own phases, so the samples themselves are joined by a short cross-fade inside the
part. Everything outside the part stays as it is.

The model knows sounds at its own level. The gain reduction of the take is therefore undone before its sound is encoded,
and applied to the new sound as well.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from omniaudio.audio.ambisonics import CHANNELS
from omniaudio.audio.loudness import CEILING_DBTP, TruePeakMeter, limiter_gain, true_peak
from omniaudio.audio.reader import BLOCK, SoundFile, open_sound
from omniaudio.config import ModelConfig
from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.decoding import CONTEXT_FRAMES, matched_cross_fade
from omniaudio.generation.sampler import Held
from omniaudio.limits import MIN_GAIN_DB, LimiterGain
from omniaudio.paths import InputPath
from omniaudio.sidecar import Sidecar

Float32 = NDArray[np.float32]

FADE_SECONDS = 0.05
"""Length of the cross-fade at either edge, inside the part."""
MIN_SECONDS = 0.25
"""Shortest part: its two cross-fades, and a few latent frames of either model between them."""
CONTEXT = 0.25
"""Share of a window that is known on either side of a part at least, if the take is long enough."""
_LIMITER_ROUNDS = 6
"""Attempts at lowering the new sound until a cross-fade's true peak is below the ceiling."""


class Inpainting(BaseModel):
    """A request to inpaint a part of a take. Times are in seconds of the take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: InputPath = Field(description="an AmbiX take of the same range of the clip, at any rate")
    start: float = Field(ge=0, allow_inf_nan=False)
    duration: float = Field(gt=0, allow_inf_nan=False)
    gain_db: LimiterGain | None = Field(
        default=None,
        description="the take's gain reduction; if None, that of the sidecar beside it, or 0 if there is none",
    )


class Part(NamedTuple):
    """Samples `begin` to `end` of a sound with a gain reduction of `gain_db`, 0 or less."""

    sound: SoundFile
    begin: int
    end: int
    gain_db: float = 0.0

    @property
    def samples(self) -> int:
        """Length of the part."""
        return self.end - self.begin

    @property
    def gain(self) -> np.float32:
        """From the model's level to the sound's, in 0..1."""
        return np.float32(10 ** (self.gain_db / 20))

    @property
    def fade(self) -> int:
        """Length of a cross-fade in samples."""
        return round(FADE_SECONDS * self.sound.rate)


class Crop(NamedTuple):
    """The range of a take that is sampled: a part and its context, on a grid of latent frames aligned to the part.

    `first`: the take's sample at which the grid begins; `frame_samples`: the take's samples per latent frame; `held`
    (frames,): which latent frames are known. The others lie in the part or, at the end, reach beyond the take.
    """

    part: Part
    first: int
    frame_samples: float
    held: NDArray[np.bool_]

    @property
    def start(self) -> float:
        """Where it begins, in seconds of the take."""
        return self.first / self.part.sound.rate

    @property
    def seconds(self) -> float:
        """Length of all its latent frames; the last one may reach beyond the take."""
        return len(self.held) * self.frame_samples / self.part.sound.rate

    def sample(self, frame: int) -> int:
        """The sample of the take at which a latent frame begins."""
        return self.first + math.floor(frame * self.frame_samples)


def open_part(inpainting: Inpainting) -> Part:
    """Opens the take and converts the part to samples.

    Raises:
        UserError: the file is not an ambisonic sound; the part is too short or lies outside it.
    """
    sound = open_sound(inpainting.sound)
    end = inpainting.start + inpainting.duration
    if end > sound.seconds + 0.5 / sound.rate:
        raise UserError(
            f"The part from {inpainting.start:g} s to {end:g} s is not within {inpainting.sound.name}, which is "
            f"{sound.seconds:g} s long: choose a part within it.",
            ExitCode.BAD_RANGE,
        )
    if inpainting.duration < MIN_SECONDS:
        raise UserError(
            f"A part of {inpainting.duration:g} s is too short to inpaint: choose {MIN_SECONDS:g} s or more.",
            ExitCode.BAD_RANGE,
        )
    gain_db = _gain_reduction(inpainting.sound) if inpainting.gain_db is None else inpainting.gain_db
    return Part(sound, round(inpainting.start * sound.rate), min(round(end * sound.rate), sound.samples), gain_db)


def _gain_reduction(sound: Path) -> float:
    """The gain reduction of a take in dB, as its sidecar says; 0 without one.

    If a part of it was inpainted, that of the original take counts, not that of the part."""
    sidecar = Sidecar.beside(sound)
    if sidecar is None:
        return 0.0
    return max(MIN_GAIN_DB, sidecar.gain_db if sidecar.inpainting is None else sidecar.inpainting.gain_db)


def crop(part: Part, config: ModelConfig) -> Crop:
    """The smallest crop around a part that the model's windows need: one window if that leaves enough context.

    The part lies in the middle if the take is long enough.
    """
    frame_samples = config.samples_per_latent / config.sample_rate * part.sound.rate
    window, context = config.latent_frames, math.ceil(CONTEXT * config.latent_frames)
    new = math.ceil((part.end - part.begin) / frame_samples)
    before = math.floor(part.begin / frame_samples)
    after = max(0, math.ceil((part.sound.samples - part.begin) / frame_samples) - new)
    frames = min(max(window, new + 2 * context), before + new + after)
    left = min(before, max((frames - new) // 2, frames - new - after))
    ends = (np.arange(frames) - left + 1) * frame_samples  # from the part's beginning, in samples
    # The frame in which the part ends is known too, so that the new sound is held where it fades out.
    known = (ends <= 0.5) | (ends > part.end - part.begin + 0.5)
    inside = ends <= part.sound.samples - part.begin + 0.5
    return Crop(part, part.begin - math.floor(left * frame_samples), frame_samples, known & inside)


def without_context(part: Part) -> Crop:
    """The part alone, for a model that uses no context."""
    return Crop(part, part.begin, float(part.samples), np.zeros(1, np.bool_))


def known_latents(cut: Crop, encode: Callable[[Float32], Float32], config: ModelConfig) -> Held:
    """The latents of the sound around a part, at the model's level.

    Args:
        cut: the part's crop.
        encode: from AmbiX sound of the model's native length, (1, 4, samples), to (1, channels, frames).
        config: the model's.
    """
    latents = np.zeros((config.latent_channels, len(cut.held)), np.float32)
    inner = config.latent_frames - 2 * CONTEXT_FRAMES
    earliest = -math.floor(cut.first / cut.frame_samples)
    for begin in range(0, len(cut.held), inner):
        end = min(begin + inner, len(cut.held))
        if not cut.held[begin:end].any():
            continue
        # The encoder also needs some frames of the take on either side as context.
        shown = max(earliest, begin - CONTEXT_FRAMES)
        found = encode(_native(cut.part.sound, cut.sample(shown), config)[None] / cut.part.gain)[0]
        latents[:, begin:end] = found[:, begin - shown : end - shown]
    latents[:, ~cut.held] = 0
    return Held(latents, cut.held)


def _native(sound: SoundFile, first: int, config: ModelConfig) -> Float32:
    """The model's native length of a sound from sample `first` on, at the model's rate, padded with silence."""
    wanted = config.latent_frames * config.samples_per_latent
    length = math.ceil(wanted / config.sample_rate * sound.rate)
    read = sound.read(max(0, first), min(first + length, sound.samples))
    at_rate = soxr.resample(read.T, sound.rate, config.sample_rate, quality="VHQ").T[:, :wanted]
    return np.pad(at_rate, ((0, 0), (0, wanted - at_rate.shape[1]))).astype(np.float32)


@contextmanager
def splice(cut: Crop, new: Iterator[Float32], folder: Path) -> Iterator[tuple[float, Iterator[Float32]]]:
    """Replaces a part of a take with new sound.

    Outside the part all samples are the take's own. Inside, the new sound is faded in and out, except at an edge that
    is the take's own beginning or end. Only the new sound is lowered if the true peak would exceed the ceiling; the
    take itself stays, even if it is louder.

    Args:
        cut: the part's crop.
        new: the crop's new sound in blocks (4, samples), from the crop's first sample to the part's end, at the
            model's level.
        folder: for a temporary file, in which the new sound waits until its peak is known.

    Yields:
        The limiter's gain of the new sound, in 0..1, and the whole take in blocks.
    """
    (sound, begin, end, _), fade = cut.part, cut.part.fade
    before = begin - cut.first
    with tempfile.TemporaryFile(dir=folder) as spool:
        meter = TruePeakMeter(CHANNELS, sound.rate)
        for piece in new:
            block, before = piece[:, before:] * cut.part.gain, max(0, before - piece.shape[1])
            meter.process(block)
            spool.write(block.T.astype("<f4").tobytes())

        def read(first: int, last: int) -> Float32:
            spool.seek(4 * CHANNELS * first)
            return np.frombuffer(spool.read(4 * CHANNELS * (last - first)), "<f4").reshape(-1, CHANNELS).T

        old_in, old_out = sound.read(begin, begin + fade), sound.read(end - fade, end)
        new_in, new_out = read(0, fade), read(end - begin - fade, end - begin)

        def faded_in(gain: float) -> Float32:
            return new_in * np.float32(gain) if begin == 0 else matched_cross_fade(old_in, new_in * np.float32(gain))

        def faded_out(gain: float) -> Float32:
            lowered = new_out * np.float32(gain)
            return lowered if end == sound.samples else matched_cross_fade(lowered, old_out)

        gain = limiter_gain(meter.finish())
        for old, faded in ((old_in, faded_in), (old_out, faded_out)):
            gain = _limited(gain, faded, max(10 ** (CEILING_DBTP / 20), true_peak(old, sound.rate)), sound.rate)

        def blocks() -> Iterator[Float32]:
            yield from sound.blocks(stop=begin)
            yield faded_in(gain)
            for first in range(fade, end - begin - fade, BLOCK):
                yield read(first, min(first + BLOCK, end - begin - fade)) * np.float32(gain)
            yield faded_out(gain)
            yield from sound.blocks(start=end)

        yield gain, blocks()


def _limited(gain: float, faded: Callable[[float], Float32], ceiling: float, rate: int) -> float:
    """The given gain, lowered until a cross-fade stays below a ceiling."""
    for _ in range(_LIMITER_ROUNDS):
        peak = true_peak(faded(gain), rate)
        if peak <= ceiling:
            break
        gain *= ceiling / peak
    return gain
