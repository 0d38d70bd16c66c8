"""Sounds made by formulas, for kinds of which no package has a recording that may ship.

Each takes the length in seconds and a random generator, and gives one channel at 44.1 kHz, of any level. They are meant
as exemplars: simple, but with the spectrum, the rhythm and the irregularity by which a listener knows the kind.
"""

from collections.abc import Callable

import numpy as np
from recordings import RATE, Sound
from scipy import signal

Made = Callable[[float, np.random.Generator], Sound]
Modes = tuple[tuple[float, float, float], ...]
"""Ratio to a pitch, amplitude, seconds to a tenth of it."""

CHURCH_BELL: Modes = (
    (0.5, 0.6, 4.0),
    (1.0, 0.7, 3.0),
    (1.19, 0.8, 2.2),
    (1.5, 0.5, 1.8),
    (2.0, 1.0, 1.5),
    (2.51, 0.6, 0.9),
    (2.66, 0.6, 0.8),
    (3.01, 0.6, 0.7),
    (4.17, 0.6, 0.5),
    (5.43, 0.5, 0.35),
    (6.8, 0.4, 0.3),
    (8.2, 0.3, 0.2),
)
"""Hum, prime, minor third, fifth, nominal and above."""
SMALL_BELL: Modes = ((1.0, 1.0, 0.7), (1.52, 0.5, 0.5), (2.74, 0.8, 0.45), (4.1, 0.4, 0.3), (5.4, 0.5, 0.2))
FORMANTS = ((1.0, 1100.0, 350.0), (0.6, 3100.0, 700.0), (0.25, 5200.0, 900.0))
"""Of an infant: amplitude, frequency and width in hertz."""


def crickets(seconds: float, rng: np.random.Generator) -> Sound:
    """Several crickets, each with chirps of a few pulses at its own pitch and pace."""
    time = _time(seconds)
    sound = np.zeros_like(time)
    for _ in range(int(rng.integers(2, 6))):
        pitch, pace = rng.uniform(4000, 5200), rng.uniform(1.6, 3.2)
        pulses, duty = rng.uniform(26, 36), rng.uniform(0.3, 0.55)
        phase = (time * pace + rng.uniform()) % 1
        pulse = np.clip(np.sin(2 * np.pi * pulses * time + rng.uniform(0, 6)), 0, None)
        tone = np.sin(2 * np.pi * pitch * time + 0.4 * np.sin(2 * np.pi * pulses * time))
        sound += rng.uniform(0.15, 1.0) * (phase < duty) * pulse * tone
    return _smoothed(sound) + 0.02 * _noise(len(time), rng, 300, 3000)


def surf(seconds: float, rng: np.random.Generator) -> Sound:
    """Waves that rise, break with a hiss, and run out, over the sea's low roar."""
    time = _time(seconds)
    sound = 0.35 * _noise(len(time), rng, 60, 700) + 0.12 * _noise(len(time), rng, 700, 5000)
    start = -rng.uniform(0.0, 1.2)
    while start < seconds:
        since = time - start
        rise, fall = rng.uniform(0.5, 1.0), rng.uniform(1.0, 1.8)
        swell = np.where(since < rise, np.clip(since / rise, 0, 1) ** 2, np.exp(-(since - rise) / fall))
        hiss = np.where(since < rise, np.clip(since / rise, 0, 1) ** 4, np.exp(-(since - rise) / (0.6 * fall)))
        size = rng.uniform(0.6, 1.0)
        sound += size * (swell * _noise(len(time), rng, 150, 2500) + 0.8 * hiss * _noise(len(time), rng, 1500, 11000))
        start += rng.uniform(1.8, 3.0)
    return sound


def church_bell(seconds: float, rng: np.random.Generator) -> Sound:
    """A bell that tolls."""
    return _tolled(seconds, rng, CHURCH_BELL, pitch=rng.uniform(350, 700), period=rng.uniform(1.0, 1.6))


def bicycle_bell(seconds: float, rng: np.random.Generator) -> Sound:
    """A thumb bell: the hammers strike the gong some twenty times a second, twice over."""
    sound = np.zeros(int(seconds * RATE) + RATE, np.float32)
    pitch, pace = rng.uniform(2100, 2900), rng.uniform(16, 24)
    start = rng.uniform(0.0, 0.2)
    while start < seconds - 0.3:
        for stroke in range(int(rng.integers(5, 9))):
            at = start + stroke / pace * rng.uniform(0.95, 1.05)
            strike = _struck(0.9, rng, SMALL_BELL, pitch) * rng.uniform(0.6, 1.0)
            first = int(at * RATE)
            sound[first : first + len(strike)] += strike[: len(sound) - first]
        start += rng.uniform(0.75, 1.1)
    return sound[: int(seconds * RATE)]


def tick_tock(seconds: float, rng: np.random.Generator) -> Sound:
    """A clock's escapement: two clicks of wood and metal that alternate, each with a fainter one behind it."""
    sound = np.zeros(int(seconds * RATE) + RATE, np.float32)
    period, pitch = rng.choice([0.25, 0.5, 0.5, 1.0 / 3]), rng.uniform(1800, 3600)
    at, tock = rng.uniform(0.02, 0.2), False
    while at < seconds:
        for delay, size in ((0.0, 1.0), (rng.uniform(0.012, 0.02), 0.45)):
            modes = ((1.0, 0.5, 0.012), (1.93, 0.5, 0.008), (3.31, 0.4, 0.006), (0.37, 0.4, 0.02))
            click = _struck(0.12, rng, modes, pitch * (0.8 if tock else 1.0)) * size
            first = int((at + delay) * RATE)
            sound[first : first + len(click)] += click
        at, tock = at + period, not tock
    return sound[: int(seconds * RATE)] + 0.002 * _noise(int(seconds * RATE), rng, 100, 6000)


def room_air(seconds: float, rng: np.random.Generator) -> Sound:
    """The air of a building: the hum of mains and fans, and a soft rumble."""
    time, mains = _time(seconds), rng.choice([50.0, 60.0])
    sound = rng.uniform(0.08, 0.15) * _noise(len(time), rng, 60, 300)
    for order in range(1, 12):
        sound += np.sin(2 * np.pi * 2 * mains * order * time + rng.uniform(0, 6)) / order
    return sound


def infant(seconds: float, rng: np.random.Generator) -> Sound:
    """Cries of about a second with a breath between them: a voice at 400 to 600 Hz that rises, holds and falls."""
    sound = np.zeros(int(seconds * RATE) + 2 * RATE, np.float32)
    at = rng.uniform(0.0, 0.15)
    pitch = rng.uniform(400, 520)
    while at < seconds:
        length = rng.uniform(0.7, 1.2)
        time = _time(length)
        shape = np.interp(time / length, [0, 0.15, 0.7, 1], [0.8, 1.08, 1.0, 0.72])
        wobble = 1 + 0.015 * np.sin(2 * np.pi * rng.uniform(5, 8) * time) + 0.01 * _noise(len(time), rng, 1, 30)
        hertz = pitch * rng.uniform(0.95, 1.08) * shape * wobble
        phase = 2 * np.pi * np.cumsum(hertz) / RATE
        cry = np.zeros_like(time)
        for order in range(1, 24):
            gain = sum(a * np.exp(-(((order * hertz - f) / w) ** 2)) for a, f, w in FORMANTS) + 0.12 / order
            cry += gain * np.sin(order * phase + rng.uniform(0, 6))
        envelope = np.interp(time / length, [0, 0.08, 0.75, 1], [0, 1, 0.8, 0])
        rasp = 1 + 0.35 * np.sin(phase / 2)
        cry = envelope * (cry * rasp + 0.05 * _noise(len(time), rng, 1500, 8000))
        first = int(at * RATE)
        sound[first : first + len(cry)] += cry
        at += length + rng.uniform(0.15, 0.4)
    return sound[: int(seconds * RATE)]


def great_owl(seconds: float, rng: np.random.Generator) -> Sound:
    """Deep soft hoots at 300 to 450 Hz in a rhythm: hoo, hu-hoo, hoo."""
    sound = np.zeros(int(seconds * RATE) + 3 * RATE, np.float32)
    pitch, at = rng.uniform(300, 450), rng.uniform(0.0, 0.15)
    while at < seconds:
        for length, pause in ((0.35, 0.3), (0.12, 0.06), (0.3, 0.3), (0.35, 0.45)):
            time = _time(length)
            phase = 2 * np.pi * np.cumsum(pitch * np.interp(time / length, [0, 0.4, 1], [0.95, 1.0, 0.93])) / RATE
            hoot = np.sin(phase) + 0.1 * np.sin(2 * phase) + 0.05 * _noise(len(time), rng, 0.8 * pitch, 1.2 * pitch)
            hoot *= np.sin(np.pi * np.clip(time / length, 0, 1)) ** 0.7
            first = int(at * RATE)
            sound[first : first + len(hoot)] += hoot
            at += length * rng.uniform(0.9, 1.1) + pause
    return sound[: int(seconds * RATE)] + 0.003 * _noise(int(seconds * RATE), rng, 200, 3000)


MADE: dict[str, Made] = {
    "crickets": crickets,
    "surf": surf,
    "church_bell": church_bell,
    "bicycle_bell": bicycle_bell,
    "tick_tock": tick_tock,
    "room_air": room_air,
    "infant": infant,
    "great_owl": great_owl,
}


def _time(seconds: float) -> Sound:
    return (np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def _noise(samples: int, rng: np.random.Generator, low: float, high: float) -> Sound:
    """Noise of unit power between two frequencies in hertz."""
    sections = signal.butter(1, (low, high), "bandpass", fs=RATE, output="sos")
    noise = signal.sosfilt(sections, rng.standard_normal(samples))
    return np.asarray(noise / (noise.std() + 1e-9), np.float32)


def _struck(seconds: float, rng: np.random.Generator, modes: Modes, pitch: float) -> Sound:
    """A struck body: modes that decay."""
    time = _time(seconds)
    sound = np.zeros_like(time)
    for ratio, amplitude, decay in modes:
        for detuned in (1.0, 1 + rng.uniform(0.0005, 0.002)):  # a pair beats
            cycles = pitch * ratio * detuned * time
            sound += amplitude * 10 ** (-time / decay) * np.sin(2 * np.pi * cycles + rng.uniform(0, 6))
    sound += 0.5 * np.exp(-time / 0.003) * _noise(len(time), rng, 1000, 9000)
    return sound


def _tolled(
    seconds: float,
    rng: np.random.Generator,
    modes: Modes,
    *,
    pitch: float,
    period: float,
) -> Sound:
    sound = np.zeros(int(seconds * RATE), np.float32)
    at = rng.uniform(0.0, 0.2) - period
    while at < seconds:
        strike = _struck(seconds + period, rng, modes, pitch) * rng.uniform(0.8, 1.0)
        first = int(at * RATE)
        strike = strike[max(0, -first) :]
        first = max(0, first)
        strike = strike[: len(sound) - first]
        sound[first : first + len(strike)] += strike
        at += period
    return sound


def _smoothed(sound: Sound) -> Sound:
    """Without the clicks of gates that open and close at once."""
    return np.asarray(signal.sosfilt(signal.butter(2, 1500, "highpass", fs=RATE, output="sos"), sound), np.float32)
