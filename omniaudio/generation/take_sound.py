"""What a generation needs of a clip, and what it gives of each take."""

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
    """The sound of a part of a clip."""

    clip: Clip
    start: float
    """Seconds into the clip."""
    seconds: float
    """Of the part."""
    rate: int
    """Of the sound, in Hz."""
    chosen: Settings
    sources: Sources | None
    """What sounds; to be recognised where None."""
    cut: Crop | None
    """Of a take of which a part is made again."""

    @property
    def samples(self) -> int:
        """Of a whole take."""
        return self.cut.part.sound.samples if self.cut is not None else round(self.seconds * self.rate)


@dataclass(frozen=True)
class TakeSound:
    """The sound of one take."""

    blocks: Iterator[Sound]
    """Ambisonics (channels, samples)."""
    gain: float | None = None
    """The guard's, of the part that was made again; None where the whole was made."""
    stems: tuple[tuple[str, Callable[[], Iterator[Sound]]], ...] = ()
    """For each stem its label and its share of the blocks."""
    derives_from: tuple[Exemplar, ...] = ()
