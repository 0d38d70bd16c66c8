"""Parts of WAV files: to the sample, whatever is asked for."""

import random
import wave
from pathlib import Path

import pytest

from blender_addon.core import sound_part
from blender_addon.core.errors import UserError
from blender_addon.core.frames import FileSpan

RATE = 48_000
FRAME_BYTES = 12


def sound_in(folder: Path, samples: int) -> tuple[Path, bytes]:
    """Four channels of 24 bits, and the bytes of their samples."""
    data = random.Random(0).randbytes(samples * FRAME_BYTES)
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((4, 3, RATE, samples, "NONE", "not compressed"))
        file.writeframes(data)
    return path, data


@pytest.mark.parametrize(
    ("start", "duration", "first", "last"),
    [(0.0, 1.0, 0, 48_000), (1 / 3, 0.5, 16_000, 40_000), (0.75, 9.0, 36_000, 48_000), (2.0, 1.0, 48_000, 48_000)],
)
def test_the_part_is_equal_to_the_bit(
    start: float, duration: float, *, first: int, last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_part, "SAMPLES_A_STEP", 1000)
    path, data = sound_in(tmp_path, RATE)
    fractions = list(sound_part.write_part(path, FileSpan(start, duration), tmp_path / "part.wav"))
    assert fractions == sorted(fractions)
    assert all(0 <= fraction < 1 for fraction in fractions)
    with wave.open(str(tmp_path / "part.wav")) as part:
        assert (part.getnchannels(), part.getsampwidth(), part.getframerate()) == (4, 3, RATE)
        assert part.readframes(RATE) == data[first * FRAME_BYTES : last * FRAME_BYTES]


def test_what_cannot_be_read_or_written_is_a_message(tmp_path: Path) -> None:
    path, _ = sound_in(tmp_path, 100)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    for sound, target in ((text, tmp_path / "x.wav"), (path, tmp_path / "no folder" / "x.wav")):
        with pytest.raises(UserError, match="cannot be written"):
            list(sound_part.write_part(sound, FileSpan(0.0, 1.0), target))
