"""A part of a WAV file, to the sample. Knows no bpy."""

import wave
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError
from .frames import FileSpan

SAMPLES_A_STEP = 1 << 18


def write_part(sound: Path, part: FileSpan, target: Path) -> Iterator[float]:
    """Writes the seconds `part` of the integer PCM in `sound`, as many as there are of them, as the file `target`.

    Yields the fraction that is done. Raises UserError if the one cannot be read, or the other not be written.
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
            f"The part of {sound} that the strip shows cannot be written ({error}); make room, or generate "
            "the sound again."
        ) from error
