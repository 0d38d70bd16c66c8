"""Cuts a part out of a WAV file, sample-accurately. Does not import bpy."""

import wave
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError
from .frames import FileSpan

SAMPLES_A_STEP = 1 << 18


def write_part(sound: Path, part: FileSpan, target: Path) -> Iterator[float]:
    """Writes the seconds `part` of the integer PCM in `sound` to the file `target`, as far as `sound` reaches.

    Yields the fraction done. Raises UserError if `sound` cannot be read or `target` cannot be written.
    """
    try:
        with wave.open(str(sound)) as source, target.open("wb") as file, wave.open(file) as cut:
            rate, samples = source.getframerate(), source.getnframes()
            start = min(samples, round(part.start * rate))
            wanted = left = min(samples, round((part.start + part.duration) * rate)) - start
            cut.setparams(source.getparams())
            source.setpos(start)
            while left > 0:
                yield 1 - left / wanted
                count = min(left, SAMPLES_A_STEP)
                cut.writeframes(source.readframes(count))
                left -= count
    except (OSError, EOFError, wave.Error) as error:
        raise UserError(
            f"The part of {sound} that the strip plays cannot be written ({error}); free some disk space, or "
            "regenerate the sound."
        ) from error
