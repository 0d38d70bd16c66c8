"""A sound file with first-order ambisonics, read in blocks as AmbiX: constant memory for any length."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import soundfile

from omniaudio.audio.ambisonics import CHANNELS, Convention, Sound, convert
from omniaudio.audio.chunks import last_page_is_cut, read_chunks
from omniaudio.audio.convention import declared, tell
from omniaudio.errors import ExitCode, UserError
from omniaudio.limits import MAX_READABLE_RATE, MIN_READABLE_RATE
from omniaudio.paths import check_readable

BLOCK = 1 << 15
"""Samples that are read at once."""
MAX_SAMPLE = 1e10
"""Full scale being 1. Floats reach 2e9 where 32-bit integers were stored as they are; what is far beyond is damage, and
its powers overflow."""

WANTED = "a WAV with 4 channels (AmbiX)"
"""What a message says to name instead."""


class Header(Protocol):
    """What libsndfile tells of a file."""

    samplerate: int
    channels: int
    frames: int
    format: str
    subtype: str


class SoundFile(NamedTuple):
    """Four channels of sound in a file that libsndfile reads (WAV, RF64, W64, CAF, FLAC, Ogg); read as AmbiX."""

    path: Path
    rate: int
    samples: int
    convention: Convention = Convention.AMBIX
    """What the file is taken for."""

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def as_stored(self) -> "SoundFile":
        """The same without conversion."""
        return self._replace(convention=Convention.AMBIX)

    def blocks(self, length: int = BLOCK, start: int = 0, stop: int | None = None) -> Iterator[Sound]:
        """The sound as AmbiX from sample `start` to `stop` or its end, `(4, length)` each and the last one shorter.
        Full scale is 1.

        Raises UserError (NO_INPUT) where the file is damaged or ends early, or holds samples that are no finite numbers
        or absurdly large."""
        wanted = (self.samples if stop is None else min(stop, self.samples)) - start
        try:
            for block in soundfile.blocks(
                str(self.path), blocksize=length, start=start, stop=stop, dtype="float32", always_2d=True
            ):
                self._check(block.T)
                wanted -= len(block)
                yield block.T if self.convention is Convention.AMBIX else self._as_ambix(block.T)
        except soundfile.LibsndfileError as error:
            message = f"{self.path.name} is damaged ({error.error_string}): copy it again."
            raise UserError(message, ExitCode.NO_INPUT) from error
        if wanted > 0:
            raise _cut_off(self.path, self.seconds, None)

    def read(self, start: int, stop: int) -> Sound:
        """Samples `start` to `stop`, `(4, stop − start)`. Raises UserError as `blocks` does."""
        return np.concatenate([np.zeros((CHANNELS, 0), np.float32), *self.blocks(start=start, stop=stop)], axis=1)

    def _as_ambix(self, block: Sound) -> Sound:
        return convert(block, self.convention, Convention.AMBIX)

    def _check(self, block: Sound) -> None:
        # Not a number is not below the limit either.
        if not np.abs(block).max(initial=0) <= MAX_SAMPLE:
            what = "larger than any sound has" if np.isfinite(block).all() else "infinite or not a number"
            message = f"{self.path.name} has samples that are {what}: export it again."
            raise UserError(message, ExitCode.NO_INPUT)


def open_sound(path: Path) -> SoundFile:
    """What a file with ambisonic sound says of itself. A convention that it declares is converted where it is read,
    which is logged; one that declares nothing is taken for AmbiX.

    Raises UserError (NO_INPUT) where it is no such file, is cut off, or declares what cannot be converted."""
    check_readable(path, WANTED)
    header = read_header(path)
    if header is None:
        raise UserError(f"{path.name} cannot be read as sound: name {WANTED}.", ExitCode.NO_INPUT)
    check_header(path, header)
    found = declared(path)
    if found is None:
        return SoundFile(path, header.samplerate, header.frames)
    if found.convention is not Convention.AMBIX:
        tell(path, found)
    return SoundFile(path, header.samplerate, header.frames, found.convention)


def read_header(path: Path) -> Header | None:
    """What libsndfile says of an ordinary file; None where it is no sound.

    Raises UserError (NO_INPUT) for a sound that it refuses since it is cut off."""
    try:
        header: Header = soundfile.info(str(path))
        return header
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: sound without a header.
        chunks = read_chunks(path)
        if chunks.missing > 0:
            share = f"of {chunks.announced} bytes of sound {chunks.present} are there"
            message = f"{path.name} is cut off, {share}: copy or export it again."
            raise UserError(message, ExitCode.NO_INPUT) from error
        return None


def check_header(path: Path, header: Header) -> None:
    """Refuses a sound that is not four channels at a rate that is read, or is not there as far as its header says.

    Raises UserError (NO_INPUT)."""
    if header.channels != CHANNELS:
        raise UserError(
            f"{path.name} has {header.channels} channels, and first-order ambisonics four: name a 4-channel file.",
            ExitCode.NO_INPUT,
        )
    if not MIN_READABLE_RATE <= header.samplerate <= MAX_READABLE_RATE:
        limit = f"{MIN_READABLE_RATE} at least"
        if header.samplerate > MAX_READABLE_RATE:
            limit = f"{MAX_READABLE_RATE} at most"
        message = f"{path.name} has {header.samplerate} samples a second: name a file with {limit}."
        raise UserError(message, ExitCode.NO_INPUT)
    if header.frames <= 0:
        raise UserError(f"{path.name} holds no sound: name a file that does.", ExitCode.NO_INPUT)
    _check_whole(path, header)


def _check_whole(path: Path, header: Header) -> None:
    seconds = header.frames / header.samplerate
    chunks = read_chunks(path)
    if not chunks.frame_is_consistent:
        message = f"The header of {path.name} contradicts itself on the size of a sample: export it again."
        raise UserError(message, ExitCode.NO_INPUT)
    if chunks.announced and chunks.missing:
        # libsndfile counts the samples that are there, in compressed sound too.
        samples = round(header.frames * chunks.announced / max(1, chunks.present))
        if samples > header.frames:
            raise _cut_off(path, samples / header.samplerate, seconds)
    if last_page_is_cut(path):
        message = f"{path.name} is cut off after {seconds:.2f} s of sound: copy or export it again."
        raise UserError(message, ExitCode.NO_INPUT)
    if not _can_read_last_sample(path, header.frames):
        raise _cut_off(path, seconds, None)


def _can_read_last_sample(path: Path, samples: int) -> bool:
    """Formats that say how long they are, as FLAC, may say so of sound that is not there."""
    try:
        with soundfile.SoundFile(str(path)) as sound:
            sound.seek(samples - 1)
            return len(sound.read(1, dtype="float32", always_2d=True)) == 1
    except soundfile.LibsndfileError:
        return False


def _cut_off(path: Path, announced: float, present: float | None) -> UserError:
    there = "not all of it is there" if present is None else f"{present:.2f} s are there"
    message = f"{path.name} is cut off or damaged, it should have {announced:.2f} s of sound and {there}"
    return UserError(f"{message}: copy or export it again.", ExitCode.NO_INPUT)
