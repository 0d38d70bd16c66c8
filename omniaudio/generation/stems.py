"""Generates a take from sources, with a model that makes one kind of sound: a stem for each source, placed and summed.

The windows of all stems lie side by side on one latent axis, share nothing and are sampled as one batch. Sampling
starts from exemplars of the kind, with noise up to the time that `variation` gives. A stem is decoded to mono, brought
to its level, placed along its source's path, and added to the others.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from omniaudio.audio.ambisonics import Floats, Sound
from omniaudio.audio.resampling import resample
from omniaudio.config import KindVectorPart, ModelConfig
from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.decoding import OVERLAP_FRAMES, decode_in_chunks
from omniaudio.generation.exemplars import Exemplar
from omniaudio.generation.pipeline import DECODING, SAMPLING, Settings, Stages
from omniaudio.generation.placing import Diffuser, channels, file_level, harmonics
from omniaudio.generation.sampler import halves
from omniaudio.generation.windows import beside, chunks, plan
from omniaudio.progress import Progress, Task
from omniaudio.recognition import kinds
from omniaudio.recognition.sources import Bed, Source, Sources

Float32 = NDArray[np.float32]

FADE_SECONDS = 0.1
"""Length of the fade of a source that appears or ends within a take."""
GRID = 256
"""Samples between two points of a path; direction and level are linear in between."""
BLOCK = 1 << 16
"""Samples that are placed at a time."""

_LEVEL_SECONDS, _ACTIVE_DB = 0.05, 20.0
"""A stem counts as sounding in blocks of this length that are at most so far below its loud ones."""
_SECONDS_PER_ROW, _SECONDS_PER_CHUNK = 0.006, 0.15
"""Estimates for a row of the transformer and a chunk of the decoder, on two cores."""


@dataclass(frozen=True)
class Part:
    """What one stem is of: a source or bed, and when it sounds, in seconds of the take."""

    label: str
    """For its file: the source's number and kind, such as `1-dog`; `bed-rain` for a bed."""
    entry: Source | Bed
    begin: float
    end: float
    first_of_kind: int
    """How many entries of the same kind come before it. Its random numbers depend on this and the kind."""


def parts(sources: Sources, start: float, seconds: float) -> tuple[Part, ...]:
    """The stems of a take of `seconds` that begins `start` seconds into the clip: what is not muted and sounds then.

    A source that lasts to the end of the clip, or whose path is a single place, lasts to the end of the take.
    """
    found: list[Part] = []
    counts: dict[str, int] = {}
    entries: list[tuple[str, Source | Bed]] = [(str(number), one) for number, one in enumerate(sources.sources, 1)]
    if sources.bed is not None:
        entries.append(("bed", sources.bed))
    for name, entry in entries:
        before = counts.get(entry.kind, 0)
        counts[entry.kind] = before + 1
        begin, end = 0.0, seconds
        if isinstance(entry, Source):
            begin = max(0.0, entry.start - start)
            if len(entry.path) > 1 and entry.end < sources.seconds - 1e-3:
                end = min(seconds, entry.end - start)
        if not entry.mute and end > begin:
            found.append(Part(f"{name}-{entry.kind}", entry, begin, end, before))
    return tuple(found)


class StemGeneration:
    """Generates the takes of a clip's sources one after another. Call `sample`, then `take` for each."""

    def __init__(
        self,
        stages: Stages,
        chosen: Settings,
        wanted: Sequence[Part],
        span: tuple[float, float],
        progress: Progress,
    ) -> None:
        """`span`: where in the clip the takes begin, and their length, in seconds.

        Raises:
            UserError: nothing sounds, or the model does not know a kind.
        """
        if not wanted:
            raise UserError(
                "Nothing sounds: every source is muted or lies outside the range. Unmute one, or add one.",
                ExitCode.BAD_RANGE,
            )
        self.stages, self.parts, self._chosen, self._span = stages, tuple(wanted), chosen, span
        self._config = config = stages.config
        self._known = kinds_of(config)
        self._voices = [self._voice(part) for part in self.parts]
        frame_seconds = config.samples_per_latent / config.sample_rate
        self._plans = [
            plan(
                # One sample more, because a sampling rate may round up.
                max(1, ceil((part.end - part.begin) / frame_seconds + 0.01)),
                config.latent_frames,
                config.omniaudio.frame_rate * frame_seconds,
                config.model.diffusion.config.patch_size,
            )
            for part in self.parts
        ]
        self._progress = progress
        decoded = sum(len(list(chunks(one.frames, one.length, OVERLAP_FRAMES))) for one in self._plans)
        rows = sum(
            len(self._plans[index].windows) * chosen.takes * halves(chosen.guidance) * self._steps(time)
            for time, group in self._groups()
            for index in group
        )
        # Replaces what was estimated before the sources were known.
        progress.tasks = [task for task in progress.tasks if task.stage not in {SAMPLING, DECODING}] + [
            Task(SAMPLING, rows, _SECONDS_PER_ROW),
            Task(DECODING, decoded * chosen.takes, _SECONDS_PER_CHUNK),
        ]
        self._latents: list[Float32] = []
        self._used: list[list[tuple[Exemplar, ...]]] = []

    def sample(self, first_take: int = 0) -> None:
        """Samples the latents of all takes. `first_take` seeds the random numbers of the first one."""
        self._progress.begin(SAMPLING)
        starts = [
            [self._start(index, first_take + take) for take in range(self._chosen.takes)]
            for index in range(len(self.parts))
        ]
        self._used = [[used for _, used in takes] for takes in starts]
        self._latents = [np.stack([latents for latents, _ in takes]) for takes in starts]
        for time, group in self._groups():
            if time > 0:
                self._sample_group(time, group)

    @contextmanager
    def take(self, number: int, rate: int, order: int, folder: Path) -> Iterator["Mix"]:
        """Decodes take `number`, from 1. Its stems are temporary files in `folder` until the block ends."""
        self._progress.begin(DECODING)
        with ExitStack() as files:
            stems = [
                Stem(
                    part,
                    self._span,
                    rate,
                    self._decoded(index, number - 1, rate),
                    files.enter_context(tempfile.TemporaryFile(dir=folder)),
                )
                for index, part in enumerate(self.parts)
            ]
            yield Mix(stems, rate, order, round(self._span[1] * rate))

    def exemplars(self, number: int) -> tuple[Exemplar, ...]:
        """The exemplars of take `number`, from 1."""
        return tuple(dict.fromkeys(one for takes in self._used for one in takes[number - 1]))

    def _voice(self, part: Part) -> str:
        """The kind whose sound the model makes for a part."""
        voice = kinds.load()[part.entry.kind].voice
        if voice not in self._known:
            raise UserError(
                f"The model {self.stages.name} does not know how “{part.entry.kind}” sounds: choose another kind, or "
                f"mute it.",
                ExitCode.BAD_RANGE,
            )
        return voice

    def _groups(self) -> Iterator[tuple[float, list[int]]]:
        """The times at which sampling starts, and the indexes of the parts that start there."""
        times = [self._time(voice) for voice in self._voices]
        for time in sorted(set(times)):
            yield time, [index for index, one in enumerate(times) if one == time]

    def _time(self, voice: str) -> float:
        """The time at which the sampling of a kind starts: 1, from noise, if it has no exemplars."""
        bank = self.stages.exemplars
        if voice not in bank.kinds:
            return 1.0
        if self._chosen.variation is not None:
            return self._chosen.variation
        return bank.variations.get(voice, self._config.omniaudio.variation)

    def _steps(self, time: float) -> int:
        """The number of steps from a time on: its share of the steps from noise."""
        return ceil(self._chosen.steps * time)

    def _start(self, index: int, take: int) -> tuple[Float32, tuple[Exemplar, ...]]:
        """Latents (channels, frames) from which a part's sampling starts, and the exemplars in them."""
        part, voice, frames = self.parts[index], self._voices[index], self._plans[index].frames
        generator = _generator(self._chosen.seed, take, part)
        exemplars: tuple[Exemplar, ...] = ()
        time, strung = self._time(voice), np.zeros((self._config.latent_channels, frames), np.float32)
        if time < 1:
            strung, exemplars = self.stages.exemplars.string(voice, frames, generator)
        noise = generator.standard_normal((frames, self._config.latent_channels), dtype=np.float32).T
        return ((1 - time) * strung + time * noise).astype(np.float32), exemplars

    def _sample_group(self, time: float, group: Sequence[int]) -> None:
        windows = beside([self._plans[index] for index in group])
        conditions = self.stages.condition_store()
        try:
            for index in group:
                window = self._window_conditions(self._voices[index])
                for _ in self._plans[index].windows:
                    conditions.append(window)
            sampled = self.stages.sample(
                np.concatenate([self._latents[index] for index in group], axis=2),
                windows,
                conditions,
                guidance=self._chosen.guidance,
                steps=self._steps(time),
                begin=time,
                on_rows=lambda rows: self._progress.advance(SAMPLING, rows),
            )
        finally:
            conditions.close()
        ends = np.cumsum([self._plans[index].frames for index in group])
        for index, latents in zip(group, np.split(sampled, ends[:-1], axis=2), strict=True):
            self._latents[index] = latents

    def _window_conditions(self, voice: str) -> object:
        """The conditions of one window for a kind."""
        vector = np.zeros((1, len(self._known)), np.float32)
        vector[0, self._known.index(voice)] = 1
        (part,) = self._config.model.conditioning.configs
        return self.stages.conditions([{part.id: vector}] * self._plans[0].video_frames)

    def _decoded(self, index: int, take: int, rate: int) -> Iterator[Float32]:
        """Decodes a stem to blocks (samples,) at `rate` Hz."""
        part, config = self.parts[index], self._config

        def decode(latents: Float32) -> Float32:
            sound = self.stages.decode(latents)
            self._progress.advance(DECODING)
            return sound

        blocks = decode_in_chunks(decode, self._latents[index][take], config.samples_per_latent, config.latent_frames)
        samples = round(part.end * rate) - round(part.begin * rate)
        return (block[0] for block in resample(blocks, config.sample_rate, rate, samples))


class Stem:
    """The mono sound of one part of a take, in a file, with the gain that brings it to its level."""

    def __init__(
        self, part: Part, span: tuple[float, float], rate: int, blocks: Iterator[Float32], file: IO[bytes]
    ) -> None:
        """Writes `blocks` (samples,) to `file`. `span` as in `StemGeneration`."""
        self.part = part
        self.first, self.last = round(part.begin * rate), round(part.end * rate)
        self._start, self._rate, self._file = span[0], rate, file
        self._fade = min(round(FADE_SECONDS * rate), (self.last - self.first) // 2)
        self._appears, self._leaves = part.begin > 0, part.end < span[1]
        self._unit = 1 / max(1e-9, _active_rms(_written(blocks, file), round(_LEVEL_SECONDS * rate)))
        entry = part.entry
        self._still = isinstance(entry, Bed) or len({(p.azimuth, p.elevation, p.size) for p in entry.path}) == 1

    def read(self, first: int, last: int) -> Float32:
        """Samples `first` to `last` of the take `(samples,)`, with gain. The stem has to sound in all of them."""
        self._file.seek(4 * (first - self.first))
        sound = np.frombuffer(self._file.read(4 * (last - first)), "<f4")
        return (sound * self._gain(first, last)).astype(np.float32)

    def directions(self, first: int, last: int, order: int) -> Sound:
        """The gains of its channels `(channels, samples)`, or `(channels, 1)` if it does not move."""
        entry = self.part.entry
        assert isinstance(entry, Source)
        if self._still:
            return harmonics(entry.directions(np.zeros(1)), order).T
        grid = self._grid(first, last)
        gains = harmonics(entry.directions(self._start + grid / self._rate), order)
        at = np.arange(first, last)
        return np.stack([np.interp(at, grid, gain) for gain in gains.T]).astype(np.float32)

    def _grid(self, first: int, last: int) -> Floats:
        """The samples of the take at which its path is evaluated, whatever blocks the take is divided into."""
        return np.arange(first // GRID, -(-last // GRID) + 1, dtype=np.float64) * GRID

    def _gain(self, first: int, last: int) -> Floats:
        """Gain `(samples,)`, or `(1,)` if it is constant."""
        entry = self.part.entry
        typical = file_level(entry.level, bed=isinstance(entry, Bed))
        level: Floats = np.full(1, typical + entry.gain)
        if isinstance(entry, Source) and not self._still:
            # Only the typical level is compressed for the file; distance and the source's gain count in full.
            grid = self._grid(first, last)
            levels = entry.levels(self._start + grid / self._rate) - entry.level + typical
            level = np.interp(np.arange(first, last), grid, levels)
        gain: Floats = self._unit * 10 ** (level / 20)
        if self._appears and first < self.first + self._fade:
            gain = gain * _rise((np.arange(first, last) - self.first) / self._fade)
        if self._leaves and last > self.last - self._fade:
            gain = gain * _rise((self.last - np.arange(first, last)) / self._fade)
        return gain


class Mix:
    """The placed stems of a take: together, or each alone."""

    def __init__(self, stems: Sequence[Stem], rate: int, order: int, samples: int) -> None:
        self.stems = tuple(stems)
        self._rate, self._order, self._samples = rate, order, samples

    def blocks(self, only: Stem | None = None) -> Iterator[Sound]:
        """The take's ambisonics `(channels, samples)` in blocks; with `only`, the share of one stem."""
        stems = self.stems if only is None else (only,)
        diffusers = {id(stem): Diffuser(self._rate, self._order) for stem in stems if isinstance(stem.part.entry, Bed)}
        for begin in range(0, self._samples, BLOCK):
            end = min(begin + BLOCK, self._samples)
            block = np.zeros((channels(self._order), end - begin), np.float32)
            for stem in stems:
                first, last = max(begin, stem.first), min(end, stem.last)
                if first >= last:
                    continue
                sound, here = stem.read(first, last), block[:, first - begin : last - begin]
                if id(stem) in diffusers:
                    here += diffusers[id(stem)].process(sound)
                else:
                    here += sound * stem.directions(first, last, self._order)
            yield block


def kinds_of(config: ModelConfig) -> tuple[str, ...]:
    """The kinds that a model can make, in the order of its condition; empty if it takes frames instead."""
    return next(
        (part.config.kinds for part in config.model.conditioning.configs if isinstance(part, KindVectorPart)), ()
    )


def _generator(seed: int, take: int, part: Part) -> np.random.Generator:
    """A stem's random numbers. They do not depend on the other sources of the clip."""
    name = f"{part.entry.kind} {part.first_of_kind}".encode()
    stream = int.from_bytes(hashlib.sha256(name).digest()[:8], "little")
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, take]))


def _written(blocks: Iterator[Float32], file: IO[bytes]) -> Iterator[Float32]:
    """The blocks, each written to a file first."""
    for block in blocks:
        file.write(block.astype("<f4").tobytes())
        yield block


def _active_rms(blocks: Iterator[Float32], length: int) -> float:
    """RMS amplitude of a sound in blocks (samples,) while it sounds; pauses do not count."""
    powers: list[Floats] = []
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        whole = len(waiting) // length * length
        powers.append(np.square(waiting[:whole].reshape(-1, length), dtype=np.float64).mean(axis=1))
        waiting = waiting[whole:]
    if len(waiting):
        powers.append(np.square(waiting, dtype=np.float64).mean(keepdims=True))
    found = np.concatenate(powers)
    loud = float(np.quantile(found, 0.95))
    return float(np.sqrt(found[found >= loud * 10 ** (-_ACTIVE_DB / 10)].mean()))


def _rise(share: Floats) -> Floats:
    """A raised cosine that rises from 0 to 1 over 0 to 1."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1)))
