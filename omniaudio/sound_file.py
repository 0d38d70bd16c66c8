"""A sound file with first-order ambisonics, read in blocks: constant memory for any length."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from omniaudio.ambisonics import CHANNELS, Sound
from omniaudio.errors import ExitCode, UserError

BLOCK = 1 << 15
"""Samples that are read at once."""
LOWEST_READABLE_RATE = 1_000
"""Hz; below it there is nothing to hear, and no filter to hear it by."""


class SoundFile(NamedTuple):
    """Four channels of sound in a file that libsndfile reads (WAV, RF64, W64, CAF, FLAC, Ogg); taken for AmbiX."""

    path: Path
    rate: int
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def blocks(self, length: int = BLOCK, start: int = 0, stop: int | None = None) -> Iterator[Sound]:
        """The sound from sample `start` to `stop` or its end, `(4, length)` each and the last one shorter, full scale
        being 1.

        Raises UserError (NO_INPUT) where the file is damaged, or holds samples that are no finite numbers."""
        try:
            for block in soundfile.blocks(
                str(self.path), blocksize=length, start=start, stop=stop, dtype="float32", always_2d=True
            ):
                if not np.isfinite(block).all():
                    sentence = f"{self.path.name} has samples that are infinite or not a number: export it again."
                    raise UserError(sentence, ExitCode.NO_INPUT)
                yield block.T
        except soundfile.LibsndfileError as error:
            sentence = f"{self.path.name} is damaged ({error.error_string}): copy it again."
            raise UserError(sentence, ExitCode.NO_INPUT) from error

    def read(self, start: int, stop: int) -> Sound:
        """Samples `start` to `stop`, `(4, stop − start)`. Raises UserError as `blocks` does."""
        return np.concatenate([np.zeros((CHANNELS, 0), np.float32), *self.blocks(start=start, stop=stop)], axis=1)


def open_sound(path: Path) -> SoundFile:
    """What a file with ambisonic sound says of itself. Raises UserError (NO_INPUT) where it is none."""
    if not path.is_file():
        raise UserError(f"There is no file {path}; check the path.", ExitCode.NO_INPUT)
    try:
        header = soundfile.info(str(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: sound without a header.
        sentence = f"{path.name} cannot be read as sound: name a WAV with 4 channels (AmbiX)."
        raise UserError(sentence, ExitCode.NO_INPUT) from error
    if header.channels != CHANNELS:
        raise UserError(
            f"{path.name} has {header.channels} channels, and first-order ambisonics four: name a 4-channel file.",
            ExitCode.NO_INPUT,
        )
    if header.samplerate < LOWEST_READABLE_RATE:
        sentence = (
            f"{path.name} has {header.samplerate} samples a second: name a file with {LOWEST_READABLE_RATE} at least."
        )
        raise UserError(sentence, ExitCode.NO_INPUT)
    if not header.frames:
        raise UserError(f"{path.name} holds no sound: name a file that does.", ExitCode.NO_INPUT)
    return SoundFile(path, header.samplerate, header.frames)
