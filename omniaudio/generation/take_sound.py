"""What a generation takes in, and the sound of each take that it gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from omniaudio.audio.ambisonics import Sound
from omniaudio.generation.exemplars import Exemplar
from omniaudio.generation.inpainting import Crop
from omniaudio.generation.pipeline import Settings
from omniaudio.recognition.sources import Sources
from omniaudio.video.clip import Clip


@dataclass(frozen=True)
class Wanted:
    """A request whose defaults are filled in and whose clip is open."""

    clip: Clip
    start: float
    """Seconds into the clip."""
    seconds: float
    """Length of the range."""
    rate: int
    """Of the sound, in Hz."""
    chosen: Settings
    sources: Sources | None
    """What sounds; None if it has to be recognised."""
    cut: Crop | None
    """The crop to inpaint; None for whole takes."""

    @property
    def samples(self) -> int:
        """Length of a take in samples."""
        return self.cut.part.sound.samples if self.cut is not None else round(self.seconds * self.rate)


@dataclass(frozen=True)
class TakeSound:
    """The sound of one take."""

    blocks: Iterator[Sound]
    """Ambisonics (channels, samples)."""
    gain: float | None = None
    """The limiter's gain of the inpainted part, in 0..1; None for a whole take."""
    stems: tuple[tuple[str, Callable[[], Iterator[Sound]]], ...] = ()
    """For each stem its label and its share of the blocks."""
    derives_from: tuple[Exemplar, ...] = ()
    """The exemplars that sampling started from."""
