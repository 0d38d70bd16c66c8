"""Reading first-order ambisonic files in blocks as AmbiX, in constant memory for any length."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import soundfile

from omniaudio.audio.ambisonics import CHANNELS, Convention, Sound, convert
from omniaudio.audio.chunks import last_page_is_cut, read_chunks
from omniaudio.audio.convention import declared, log_conversion
from omniaudio.errors import ExitCode, UserError
from omniaudio.limits import MAX_READABLE_RATE, MIN_READABLE_RATE
from omniaudio.paths import check_readable

BLOCK = 1 << 15
"""Samples read at a time."""
MAX_SAMPLE = 1e10
"""Full scale is 1. Floats reach 2e9 if 32-bit integers were stored unscaled; much larger values are damage, and their
powers overflow."""

WANTED = "a WAV with 4 channels (AmbiX)"
"""What messages suggest instead."""


class Header(Protocol):
    """What libsndfile reports about a file."""

    samplerate: int
    channels: int
    frames: int
    format: str
    subtype: str


class SoundFile(NamedTuple):
    """Four channels of sound in any file that libsndfile reads (WAV, RF64, W64, CAF, FLAC, Ogg); read as AmbiX."""

    path: Path
    rate: int
    samples: int
    convention: Convention = Convention.AMBIX
    """The convention that the file is read as."""

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def as_stored(self) -> "SoundFile":
        """The same file, read without conversion."""
        return self._replace(convention=Convention.AMBIX)

    def blocks(self, length: int = BLOCK, start: int = 0, stop: int | None = None) -> Iterator[Sound]:
        """Yield the sound as AmbiX from sample `start` to `stop` or its end, in blocks `(4, length)`; the last one may
        be shorter. Full scale is 1.

        Raises UserError (NO_INPUT) if the file is damaged or ends early, or if samples are not finite or absurdly
        large."""
        wanted = (self.samples if stop is None else min(stop, self.samples)) - start
        try:
            for block in soundfile.blocks(
                str(self.path), blocksize=length, start=start, stop=stop, dtype="float32", always_2d=True
            ):
                self._check(block.T)
                wanted -= len(block)
                yield block.T if self.convention is Convention.AMBIX else self._as_ambix(block.T)
        except soundfile.LibsndfileError as error:
            message = f"{self.path.name} is damaged ({error.error_string}); copy it again."
            raise UserError(message, ExitCode.NO_INPUT) from error
        if wanted > 0:
            raise _truncated(self.path, self.seconds, None)

    def read(self, start: int, stop: int) -> Sound:
        """Read samples `start` to `stop`, `(4, stop − start)`. Raises UserError as `blocks` does."""
        return np.concatenate([np.zeros((CHANNELS, 0), np.float32), *self.blocks(start=start, stop=stop)], axis=1)

    def _as_ambix(self, block: Sound) -> Sound:
        return convert(block, self.convention, Convention.AMBIX)

    def _check(self, block: Sound) -> None:
        # NaN is not below the limit either.
        if not np.abs(block).max(initial=0) <= MAX_SAMPLE:
            what = "too large" if np.isfinite(block).all() else "infinite or not a number"
            message = f"{self.path.name} has samples that are {what}; export it again."
            raise UserError(message, ExitCode.NO_INPUT)


def open_sound(path: Path) -> SoundFile:
    """Open an ambisonic file. Another convention that it declares is converted on reading, which is logged; without a
    declaration it is read as AmbiX.

    Raises UserError (NO_INPUT) if it is not such a file, is truncated, or declares what cannot be converted."""
    check_readable(path, WANTED)
    header = read_header(path)
    if header is None:
        raise UserError(f"{path.name} cannot be read as sound; choose {WANTED}.", ExitCode.NO_INPUT)
    check_header(path, header)
    found = declared(path)
    if found is None:
        return SoundFile(path, header.samplerate, header.frames)
    if found.convention is not Convention.AMBIX:
        log_conversion(path, found)
    return SoundFile(path, header.samplerate, header.frames, found.convention)


def read_header(path: Path) -> Header | None:
    """Read the header of an ordinary file; None if it is not sound.

    Raises UserError (NO_INPUT) for sound that libsndfile refuses because it is truncated."""
    try:
        header: Header = soundfile.info(str(path))
        return header
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: sound without a header.
        chunks = read_chunks(path)
        if chunks.missing > 0:
            share = f"{chunks.present} of {chunks.announced} bytes of sound are present"
            message = f"{path.name} is truncated, {share}; copy or export it again."
            raise UserError(message, ExitCode.NO_INPUT) from error
        return None


def check_header(path: Path, header: Header) -> None:
    """Raises UserError (NO_INPUT) unless a sound has four channels and a supported rate, and is as long as its header
    says."""
    if header.channels != CHANNELS:
        raise UserError(
            f"{path.name} has {header.channels} channels, but first-order ambisonics has 4; choose a 4-channel file.",
            ExitCode.NO_INPUT,
        )
    if not MIN_READABLE_RATE <= header.samplerate <= MAX_READABLE_RATE:
        limit = f"at least {MIN_READABLE_RATE} Hz"
        if header.samplerate > MAX_READABLE_RATE:
            limit = f"at most {MAX_READABLE_RATE} Hz"
        message = f"{path.name} has a sampling rate of {header.samplerate} Hz; choose a file with {limit}."
        raise UserError(message, ExitCode.NO_INPUT)
    if header.frames <= 0:
        raise UserError(f"{path.name} contains no sound; choose another file.", ExitCode.NO_INPUT)
    _check_whole(path, header)


def _check_whole(path: Path, header: Header) -> None:
    seconds = header.frames / header.samplerate
    chunks = read_chunks(path)
    if not chunks.frame_is_consistent:
        message = f"The header of {path.name} contradicts itself about the size of a sample; export it again."
        raise UserError(message, ExitCode.NO_INPUT)
    if chunks.announced and chunks.missing:
        # libsndfile counts the samples that are present, in compressed sound too.
        samples = round(header.frames * chunks.announced / max(1, chunks.present))
        if samples > header.frames:
            raise _truncated(path, samples / header.samplerate, seconds)
    if last_page_is_cut(path):
        message = f"{path.name} is truncated after {seconds:.2f} s of sound; copy or export it again."
        raise UserError(message, ExitCode.NO_INPUT)
    if not _can_read_last_sample(path, header.frames):
        raise _truncated(path, seconds, None)


def _can_read_last_sample(path: Path, samples: int) -> bool:
    """Whether the last sample exists: formats such as FLAC may declare a length that the file does not have."""
    try:
        with soundfile.SoundFile(str(path)) as sound:
            sound.seek(samples - 1)
            return len(sound.read(1, dtype="float32", always_2d=True)) == 1
    except soundfile.LibsndfileError:
        return False


def _truncated(path: Path, announced: float, present: float | None) -> UserError:
    found = "part of it is missing" if present is None else f"only {present:.2f} s are present"
    message = f"{path.name} is truncated or damaged: it should have {announced:.2f} s of sound, and {found}"
    return UserError(f"{message}; copy or export it again.", ExitCode.NO_INPUT)
