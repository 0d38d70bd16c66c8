"""Takes of a model that makes all four channels from the frames at once, like the released one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omniaudio.generation.inpainting import known_latents, splice
from omniaudio.generation.pipeline import Generation, Stages
from omniaudio.generation.take_sound import TakeSound, Wanted
from omniaudio.progress import Report


class JointTakes:
    """All takes of a clip. Call `close` at the end."""

    sources = None
    """A joint model does not name its sources."""

    def __init__(self, stages: Stages, wanted: Wanted, report: Callable[[Report], None]) -> None:
        """Encodes the frames and samples. An exception in `report` cancels the generation.

        Raises:
            UserError: the clip cannot be read.
        """
        self._wanted, cut = wanted, wanted.cut
        skipped, seconds = (0.0, wanted.seconds) if cut is None else (cut.start, cut.seconds)
        self._generation = Generation(stages, seconds, wanted.chosen, report)
        try:
            frame_rate, shown = stages.config.omniaudio.frame_rate, min(seconds, wanted.seconds - skipped)
            frames = wanted.clip.frames(frame_rate, wanted.start + skipped, shown)
            self._generation.look(frame.image for frame in frames)
            held = None if cut is None else known_latents(cut, stages.encode, stages.config)
            self._latents = self._generation.sample(held)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Frees the conditions."""
        self._generation.close()

    @contextmanager
    def take(self, number: int, folder: Path) -> Iterator[TakeSound]:
        """Take `number`, from 1. `folder` is for temporary files."""
        wanted, latents, cut = self._wanted, self._latents[number - 1], self._wanted.cut
        if cut is None:
            yield TakeSound(self._generation.sound(latents, wanted.rate, wanted.samples))
            return
        new = self._generation.sound(latents, wanted.rate, cut.part.end - cut.first)
        with splice(cut, new, folder) as (gain, blocks):
            yield TakeSound(blocks, gain)
