"""From pictures to latents to sound: a clip of any length, by a model's stages, in nearly constant memory.

Pictures are looked at once, one at a time; each window's conditions wait where the back-end keeps them (on a CPU, in a
temporary file); only the latent, 4 bytes a channel and frame (16 kB a second for 192 channels), is held whole; sound
is decoded in chunks.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from omniaudio import encoders
from omniaudio.audio.resampling import resample
from omniaudio.config import ModelConfig
from omniaudio.generation.decoding import OVERLAP_FRAMES, decode_in_chunks
from omniaudio.generation.exemplars import Bank
from omniaudio.generation.prefetch import read_ahead
from omniaudio.generation.sampler import Held, halves
from omniaudio.generation.windows import WindowPlan, chunks, noise, plan
from omniaudio.progress import Progress, Report, Task
from omniaudio.video.panorama import Rgb
from omniaudio_client.options import GenerationOptions

Array = NDArray[Any]
Float32 = NDArray[np.float32]

LOOKING, SAMPLING, DECODING = "looking", "sampling", "decoding"
"""The stages that progress is reported by."""

_GUESSED_SECONDS = {LOOKING: 0.3, SAMPLING: 0.05, DECODING: 0.6}
"""Of a picture, a row of the transformer, a window's length of sound: the draft model on two cores."""

FIRST_TAKE_AGAIN = 1 << 32
"""Of the noise for a part that is made again: by the same seed it is another one than the clip was made of."""

Features = Any
"""What vision saw of one picture: the back-end's own, on its device."""
WindowConditions = Any
"""What the transformer is told about one window: the back-end's own, on its device."""


class ConditionStore(Protocol):
    """Keeps the conditions of every window until they are sampled, where the back-end wants them."""

    def append(self, record: WindowConditions) -> None:
        """Keep the next window's."""
        ...

    def close(self) -> None:
        """Give them back."""
        ...


class Stages(Protocol):
    """A model's graphs, whatever runs them. Arrays are float32 but for the pictures, which are uint8.

    From the pictures to the latents everything in between belongs to the back-end, so that on a GPU it stays there.
    """

    config: ModelConfig

    @property
    def name(self) -> str:
        """The model's."""
        ...

    @property
    def identity(self) -> str:
        """SHA-256 that names the model's config and weights."""
        ...

    @property
    def backend(self) -> str:
        """What runs the graphs."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the libraries that run the graphs, by the names of their distributions."""
        ...

    @property
    def exemplars(self) -> Bank:
        """Where sampling may start; empty where the model has none."""
        ...

    def vision(self, inputs: Mapping[str, Array]) -> Features:
        """One picture as vision is shown it, by name (1, height, width, 3), to its features."""
        ...

    def conditions(self, features: Sequence[Features]) -> WindowConditions:
        """The features of one window's pictures, in order, to its conditions."""
        ...

    def condition_store(self) -> ConditionStore:
        """A new, empty one for the conditions of one clip."""
        ...

    def sample(
        self,
        start: Float32,
        windows: WindowPlan,
        conditions: Any,
        *,
        guidance: float,
        steps: int,
        on_rows: Callable[[int], None],
        held: Held | None = None,
        begin: float = 1.0,
    ) -> Float32:
        """Noise to latents, both (takes, channels, frames).

        Args:
            start: standard normal; a latent on its way where `begin` is less than 1.
            windows: how the latents are cut.
            conditions: of every window, in a store of this back-end.
            guidance: as in `omniaudio.generation.sampler`.
            steps: of the sampler.
            on_rows: told, at least once a step, how many rows (windows · takes · halves of guidance) have been
                computed since; what it raises ends the sampling.
            held: latents that are known, as many frames as `start` has; none where None.
            begin: the time t of `start`, above 0: 1 is noise.
        """
        ...

    def decode(self, latents: Float32) -> Float32:
        """Latents (batch, channels, frames) to AmbiX sound (batch, 4, samples)."""
        ...

    def encode(self, foa: Float32) -> Float32:
        """AmbiX sound (batch, 4, samples) to latents (batch, channels, frames)."""
        ...


@dataclass(frozen=True)
class Settings(GenerationOptions):
    """The options with what they leave to the model. `steps` (from noise) and `guidance` as in
    `omniaudio.generation.sampler`; `variation` is the time at which sampling starts where there are exemplars:
    0 is the exemplar, 1 is noise, None is the model's own for each kind."""

    steps: int = field(kw_only=True)
    guidance: float = field(kw_only=True)


class Generation:
    """One clip on its way from pictures to sound.

    `look`, then `sample`, then `sound` for each take; `close` in the end.
    """

    def __init__(self, stages: Stages, seconds: float, chosen: Settings, report: Callable[[Report], None]) -> None:
        """`seconds` is the clip's duration. What `report` raises ends the work: that is how it is cancelled."""
        self.stages = stages
        self.config = stages.config
        self.settings = chosen
        config = self.config
        self.frame_seconds = config.samples_per_latent / config.sample_rate
        frames = max(1, int(np.ceil(round(seconds / self.frame_seconds, 6))))
        self.windows: WindowPlan = plan(
            frames,
            config.latent_frames,
            config.omniaudio.frame_rate * self.frame_seconds,
            config.model.diffusion.config.patch_size,
        )
        self._conditions = stages.condition_store()
        self.progress = Progress(report, self._tasks())

    def close(self) -> None:
        """Give the conditions back."""
        self._conditions.close()

    def _tasks(self) -> list[Task]:
        count, takes = len(self.windows.windows), self.settings.takes
        units = {
            LOOKING: self.windows.total_pictures,
            SAMPLING: count * takes * halves(self.settings.guidance) * self.settings.steps,
            DECODING: takes * len(list(chunks(self.windows.frames, self.windows.length, OVERLAP_FRAMES))),
        }
        return [Task(stage, number, _GUESSED_SECONDS[stage]) for stage, number in units.items()]

    def look(self, pictures: Iterator[Rgb]) -> None:
        """See the pictures, which come at the config's `frame_rate`; where they end early, the last one is held."""
        self.progress.begin(LOOKING)
        features = self._features(islice(pictures, self.windows.total_pictures))
        for conditions in self._window_conditions(features):
            self._conditions.append(conditions)

    def sample(self, held: Held | None = None) -> Float32:
        """Latents of all takes (takes, channels, frames).

        Args:
            held: latents that are known, of the first frames of the clip; those that follow are not.
        """
        chosen, windows = self.settings, self.windows
        self.progress.begin(SAMPLING)
        first = 0 if held is None else FIRST_TAKE_AGAIN
        start = np.stack(
            [
                noise(chosen.seed, first + take, self.config.latent_channels, windows.frames)
                for take in range(chosen.takes)
            ]
        )
        if held is not None:
            more = (0, windows.frames - len(held.frames))
            held = Held(np.pad(held.latents, ((0, 0), more)), np.pad(held.frames, more))
        return self.stages.sample(
            start,
            windows,
            self._conditions,
            guidance=chosen.guidance,
            steps=chosen.steps,
            on_rows=lambda rows: self.progress.advance(SAMPLING, rows),
            held=held,
        )

    def sound(self, latents: Float32, rate: int, samples: int) -> Iterator[Float32]:
        """The sound of one take's latents (channels, frames) in blocks (4, samples): exactly `samples` at `rate` Hz."""
        self.progress.begin(DECODING)
        blocks = decode_in_chunks(self._decode, latents, self.config.samples_per_latent, self.windows.length)
        return resample(blocks, self.config.sample_rate, rate, samples)

    def _features(self, pictures: Iterator[Rgb]) -> Iterator[Features]:
        """Of each picture; the last one's are repeated for ever."""
        last: Features = None
        last_shown: dict[str, Array] | None = None
        for shown in read_ahead(self._shown(pictures)):
            if shown is not last_shown:
                last, last_shown = self.stages.vision(shown), shown
            self.progress.advance(LOOKING)
            yield last
        if last_shown is None:
            raise ValueError("there is no picture to look at")
        while True:
            yield last

    def _shown(self, pictures: Iterator[Rgb]) -> Iterator[dict[str, Array]]:
        """What the encoder is shown of each picture. One that stays, as a still does, comes as the same array again,
        and so does what is shown of it."""
        last: Rgb | None = None
        shown: dict[str, Array] = {}
        for picture in pictures:
            if picture is not last:
                inputs = encoders.find(self.config.omniaudio.vision.type).cut(picture)
                last, shown = picture, {name: array[None] for name, array in inputs.items()}
            yield shown

    def _window_conditions(self, features: Iterator[Features]) -> Iterator[WindowConditions]:
        kept: deque[Features] = deque()
        first = 0  # the index of the first one kept
        for window in self.windows.windows:
            while first < window.picture:
                kept.popleft()
                first += 1
            kept.extend(islice(features, self.windows.pictures - len(kept)))
            yield self.stages.conditions(kept)

    def _decode(self, latents: Float32) -> Float32:
        sound = self.stages.decode(latents)
        self.progress.advance(DECODING)
        return sound
