"""Takes of a model that makes one kind of sound at a time. The sources are recognised first, or given."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from omniaudio.generation.inpainting import splice
from omniaudio.generation.pipeline import DECODING, FIRST_INPAINTING_TAKE, LOOKING, SAMPLING, Stages
from omniaudio.generation.stems import StemGeneration, parts
from omniaudio.generation.take_sound import TakeSound, Wanted
from omniaudio.progress import Progress, Report, Task
from omniaudio.recognition.networks import Networks
from omniaudio.recognition.recognise import recognise
from omniaudio.recognition.sources import Sources

_LOOKING_UNITS = 100
_GUESSED_SECONDS = {LOOKING: 0.3, SAMPLING: 0.1, DECODING: 0.3}
"""For a second of the clip, on two cores, until the number of sources is known."""


class SourceTakes:
    """All takes of a clip. Call `close` at the end."""

    sources: Sources
    """What sounds in the clip."""

    def __init__(
        self,
        stages: Stages,
        wanted: Wanted,
        report: Callable[[Report], None],
        networks: Callable[[], Networks],
    ) -> None:
        """Recognises the sources if they are not given, and samples. An exception in `report` cancels the generation.

        Raises:
            UserError: the clip cannot be read, nothing sounds, or the networks for recognition are missing.
        """
        self._wanted = wanted
        progress = Progress(report)
        if wanted.sources is None:
            guesses = {stage: each * wanted.seconds for stage, each in _GUESSED_SECONDS.items()}
            progress.tasks.append(Task(LOOKING, _LOOKING_UNITS, guesses[LOOKING] / _LOOKING_UNITS))
            progress.tasks += [Task(stage, 1, guesses[stage]) for stage in (SAMPLING, DECODING)]
            self.sources = _recognised(wanted, networks(), progress)
        else:
            self.sources = wanted.sources
        part = None if wanted.cut is None else wanted.cut.part
        if part is None:
            span = wanted.start, wanted.seconds
        else:
            span = wanted.start + part.begin / wanted.rate, part.samples / wanted.rate
        self._stems = StemGeneration(stages, wanted.chosen, parts(self.sources, *span), span, progress)
        # With the same seed, inpainting must not repeat the sound it replaces.
        self._stems.sample(0 if part is None else FIRST_INPAINTING_TAKE)

    def close(self) -> None:
        """Nothing to free: everything is in memory."""

    @contextmanager
    def take(self, number: int, folder: Path) -> Iterator[TakeSound]:
        """Take `number`, from 1. Its stems wait in `folder`."""
        wanted = self._wanted
        exemplars = self._stems.exemplars(number)
        with self._stems.take(number, wanted.rate, wanted.chosen.order, folder) as mix:
            if wanted.cut is None:
                stems = tuple((stem.part.label, partial(mix.blocks, stem)) for stem in mix.stems)
                yield TakeSound(mix.blocks(), stems=stems, derives_from=exemplars)
                return
            with splice(wanted.cut, mix.blocks(), folder) as (gain, blocks):
                yield TakeSound(blocks, gain, derives_from=exemplars)


def _recognised(wanted: Wanted, networks: Networks, progress: Progress) -> Sources:
    progress.begin(LOOKING)
    done = partial(progress.reach, LOOKING)
    return recognise(wanted.clip, networks, start=wanted.start, duration=wanted.seconds, checked=True, report=done)
