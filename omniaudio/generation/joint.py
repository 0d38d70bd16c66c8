"""Takes of a model that makes all four channels from the frames at once, as the released one does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omniaudio.generation.inpainting import known_latents, splice
from omniaudio.generation.pipeline import Generation, Stages
from omniaudio.generation.take_sound import TakeSound, Wanted
from omniaudio.progress import Report


class JointTakes:
    """All takes of a clip. `close` in the end."""

    sources = None
    """Such a model names none."""

    def __init__(self, stages: Stages, wanted: Wanted, report: Callable[[Report], None]) -> None:
        """Looks and samples. What `report` raises ends the work.

        Raises:
            UserError: the clip cannot be read.
        """
        self._wanted, cut = wanted, wanted.cut
        skipped, seconds = (0.0, wanted.seconds) if cut is None else (cut.start, cut.seconds)
        self._generation = Generation(stages, seconds, wanted.chosen, report)
        try:
            frame_rate, shown = stages.config.omniaudio.frame_rate, min(seconds, wanted.seconds - skipped)
            pictures = wanted.clip.frames(frame_rate, wanted.start + skipped, shown)
            self._generation.look(frame.image for frame in pictures)
            held = None if cut is None else known_latents(cut, stages.encode, stages.config)
            self._latents = self._generation.sample(held)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the conditions back."""
        self._generation.close()

    @contextmanager
    def take(self, number: int, folder: Path) -> Iterator[TakeSound]:
        """A take, from 1. What waits on the way lies in `folder`."""
        wanted, latents, cut = self._wanted, self._latents[number - 1], self._wanted.cut
        if cut is None:
            yield TakeSound(self._generation.sound(latents, wanted.rate, wanted.samples))
            return
        new = self._generation.sound(latents, wanted.rate, cut.part.end - cut.first)
        with splice(cut, new, folder) as (gain, blocks):
            yield TakeSound(blocks, gain)
