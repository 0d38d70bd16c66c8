"""Short instrumental phrases with random notes, rendered by FluidSynth: as many as one likes of an instrument."""

from __future__ import annotations

import random
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from omniaudio.errors import UserError

TICKS = 480  # per quarter note
PENTATONIC = (0, 2, 4, 7, 9)  # semitones: any order of these is a tune
DRUM_CHANNEL = 9  # General MIDI keeps channel 10 for percussion
# General MIDI percussion keys: bass drum, snares, hi-hats, toms, crash and ride.
KICK, SNARE, HATS, TOMS, CYMBALS = 36, (38, 40), (42, 44, 46), (41, 45, 48, 50), (49, 51)

Note = tuple[int, int, int, int]  # start and length in ticks, key, velocity


def tune(chance: random.Random, beats: int, low: int, high: int) -> list[Note]:
    """A walk over a pentatonic scale, now and then with a second voice or a rest."""
    root = chance.randrange(12)
    scale = [key for key in range(low, high + 1) if (key - root) % 12 in PENTATONIC]
    at, position, notes = 0, chance.randrange(len(scale)), []
    while at < beats * TICKS:
        length = chance.choice((TICKS // 2, TICKS // 2, TICKS, 2 * TICKS))
        velocity = chance.randint(70, 120)
        if chance.random() > 0.1:
            notes.append((at, int(length * chance.uniform(0.7, 1.1)), scale[position], velocity))
            if chance.random() < 0.25:
                notes.append((at, length, scale[max(position - 2, 0)], velocity - 10))
        position = min(max(position + chance.choice((-2, -1, -1, 1, 1, 2, 3)), 0), len(scale) - 1)
        at += length
    return notes


def held(chance: random.Random, beats: int, low: int, high: int) -> list[Note]:
    """Two notes held throughout: what General MIDI's sound effects want."""
    return [(0, beats * TICKS, chance.randint(low, high), chance.randint(90, 120)) for _ in range(2)]


def render(
    soundfont: Path,
    program: int,
    seed: int,
    wav: Path,
    *,
    drums: bool = False,
    low: int = 48,
    high: int = 79,
    notes: Callable[[random.Random, int, int, int], list[Note]] = tune,
) -> None:
    """Writes about four seconds of `program` (0 to 127, a drum kit's when `drums`) as a dry stereo WAV of 44.1 kHz.

    low, high: the range of keys (60 is middle C). The same seed gives the same phrase. Raises UserError when
    FluidSynth or the soundfont is missing.
    """
    chance = random.Random(seed)
    bpm = chance.uniform(80, 150)
    beats = max(4, round(bpm * 4 / 60))
    phrase = _beat(chance, beats) if drums else notes(chance, beats, low, high)
    with tempfile.TemporaryDirectory() as folder:
        midi = Path(folder, "phrase.mid")
        midi.write_bytes(_midi(phrase, program, DRUM_CHANNEL if drums else 0, bpm))
        # Dry.
        command = [
            "fluidsynth",
            "-ni",
            "-q",
            "-R",
            "0",
            "-C",
            "0",
            "-g",
            "0.5",
            "-o",
            "synth.dynamic-sample-loading=1",  # a font's other instruments take most of the time
            "-r",
            "44100",
            "-F",
            str(wav),
            str(soundfont),
            str(midi),
        ]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise UserError("fluidsynth is not installed; install it (Debian: apt-get install fluidsynth).") from None
    if result.returncode or not wav.is_file():
        raise UserError(f"fluidsynth could not render with {soundfont.name}: {result.stderr.strip()[-200:]}")


def _beat(chance: random.Random, beats: int) -> list[Note]:
    """A drum pattern in eighths: bass drum, snare, hi-hat, and fills."""
    eighth, notes = TICKS // 2, []
    hat, snare = chance.choice(HATS), chance.choice(SNARE)
    for step in range(2 * beats):
        keys = [hat] if chance.random() < 0.8 else []
        if step % 4 == 0 or chance.random() < 0.15:
            keys.append(KICK)
        if step % 4 == 2 or chance.random() < 0.1:
            keys.append(snare)
        if chance.random() < 0.12:
            keys.append(chance.choice(TOMS + CYMBALS))
        notes += [(step * eighth, eighth, key, chance.randint(70, 120)) for key in keys]
    return notes


def _midi(notes: list[Note], program: int, channel: int, bpm: float) -> bytes:
    """A standard MIDI file of format 0."""
    events = [(0, bytes([0xFF, 0x51, 3]) + round(60e6 / bpm).to_bytes(3, "big")), (0, bytes([0xC0 | channel, program]))]
    for start, length, key, velocity in notes:
        events.append((start, bytes([0x90 | channel, key, velocity])))
        events.append((start + length, bytes([0x80 | channel, key, 0])))
    end = max(time for time, _ in events)
    events = [*sorted(events, key=lambda event: event[0]), (end + TICKS, bytes([0xFF, 0x2F, 0]))]
    track, now = b"", 0
    for time, message in events:
        track += _variable_length(time - now) + message
        now = time
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(value: int) -> bytes:
    """MIDI's number of 7 bits a byte, highest first."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))
