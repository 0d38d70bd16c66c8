"""From pictures to latents to sound: a clip of any length, by a model's stages, in nearly constant memory.

Pictures are looked at once, one at a time; each window's conditions wait in a temporary file; only the latent,
4 bytes a channel and frame (16 kB a second for 192 channels), is held whole; sound is decoded in chunks.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from omniaudio.config import ModelConfig
from omniaudio.decoding import OVERLAP_FRAMES, decode_in_chunks, resample
from omniaudio.panorama import Picture, vision_inputs
from omniaudio.progress import Progress, Report, Task
from omniaudio.sampler import euler, guided
from omniaudio.spool import Spool
from omniaudio.windows import WindowPlan, chunks, noise, plan

Array = NDArray[Any]
Float32 = NDArray[np.float32]

LOOKING, SAMPLING, DECODING = "looking", "sampling", "decoding"
"""The stages that progress is reported by."""

ROWS_AT_ONCE = 8
"""Windows · takes · halves of guidance that the transformer computes together, if a window's own are no more."""

_GUESSED_SECONDS = {LOOKING: 0.3, SAMPLING: 0.05, DECODING: 0.6}
"""Of a picture, a row of the transformer, a window's length of sound: the draft model on two cores."""


class Stages(Protocol):
    """A model's graphs, whatever runs them. Arrays are float32 but for the pictures, which are uint8."""

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

    def vision(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Pictures (batch, height, width, 3) to features (batch, …), both by name."""
        ...

    def conditions(self, features: dict[str, Array], latent_frames: int) -> dict[str, Array]:
        """Features of windows (batch, pictures, …) to conditions (batch, …) for windows of so many latent frames."""
        ...

    def velocity(self, x: Array, t: Array, conditions: dict[str, Array]) -> Array:
        """Latents (batch, channels, frames) at the times (batch,) to the flow's velocity there."""
        ...

    def decode(self, latents: Array) -> Array:
        """Latents (batch, channels, frames) to AmbiX sound (batch, 4, samples)."""
        ...

    def encode(self, foa: Array) -> Array:
        """AmbiX sound (batch, 4, samples) to latents (batch, channels, frames)."""
        ...


@dataclass(frozen=True)
class Settings:
    """What decides a result beside model and pictures. `steps` and `guidance` as in `omniaudio.sampler`."""

    seed: int
    takes: int
    steps: int
    guidance: float


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
        self.halves = 1 if chosen.guidance == 1 else 2
        self.guidance: float | Float32 = chosen.guidance
        if config.omniaudio.guided_channels is not None and self.halves == 2:
            self.guidance = np.ones(config.latent_channels, np.float32)
            self.guidance[: config.omniaudio.guided_channels] = chosen.guidance
        self._conditions = Spool()
        self.progress = Progress(report, self._tasks())

    def close(self) -> None:
        """Give the temporary file back."""
        self._conditions.close()

    def _tasks(self) -> list[Task]:
        count, takes = len(self.windows.windows), self.settings.takes
        units = {
            LOOKING: self.windows.total_pictures,
            SAMPLING: count * takes * self.halves * self.settings.steps,
            DECODING: takes * len(list(chunks(self.windows.frames, self.windows.length, OVERLAP_FRAMES))),
        }
        return [Task(stage, number, _GUESSED_SECONDS[stage]) for stage, number in units.items()]

    def look(self, pictures: Iterator[Picture]) -> None:
        """See the pictures, which come at the config's `frame_rate`; where they end early, the last one is held."""
        self.progress.begin(LOOKING)
        features = self._features(islice(pictures, self.windows.total_pictures))
        for conditions in self._window_conditions(features):
            self._conditions.append(conditions)

    def sample(self) -> Float32:
        """Latents of all takes (takes, channels, frames)."""
        chosen, windows = self.settings, self.windows
        self.progress.begin(SAMPLING)
        start = np.stack(
            [noise(chosen.seed, take, self.config.latent_channels, windows.frames) for take in range(chosen.takes)]
        )
        latents: Float32 = euler(self._velocity, start, chosen.steps)
        return latents

    def sound(self, latents: Float32, rate: int, samples: int) -> Iterator[Float32]:
        """The sound of one take's latents (channels, frames) in blocks (4, samples): exactly `samples` at `rate` Hz."""
        self.progress.begin(DECODING)
        blocks = decode_in_chunks(self._decode, latents, self.config.samples_per_latent, self.windows.length)
        return resample(blocks, self.config.sample_rate, rate, samples)

    def _features(self, pictures: Iterator[Picture]) -> Iterator[dict[str, Array]]:
        """Of each picture; the last one's are repeated for ever."""
        last: dict[str, Array] = {}
        last_picture: Picture | None = None
        for picture in pictures:
            # A picture that stays, as a still does, comes as the same array again.
            if picture is not last_picture:
                inputs = vision_inputs(picture, self.config.omniaudio.vision.type)
                seen = self.stages.vision({name: shown[None] for name, shown in inputs.items()})
                last, last_picture = {name: feature[0] for name, feature in seen.items()}, picture
            self.progress.advance(LOOKING)
            yield last
        if not last:
            raise ValueError("there is no picture to look at")
        while True:
            yield last

    def _window_conditions(self, features: Iterator[dict[str, Array]]) -> Iterator[dict[str, Array]]:
        kept: deque[dict[str, Array]] = deque()
        first = 0  # the index of the first one kept
        for window in self.windows.windows:
            while first < window.picture:
                kept.popleft()
                first += 1
            kept.extend(islice(features, self.windows.pictures - len(kept)))
            together = {name: np.stack([one[name] for one in kept])[None] for name in kept[0]}
            yield self.stages.conditions(together, self.windows.length)

    def _velocity(self, x: Float32, t: Float32) -> Float32:
        """The whole latent's guided velocity."""
        takes = len(x)
        at_once = max(1, ROWS_AT_ONCE // (takes * self.halves))

        def of_windows(latents: Float32, indexes: Sequence[int]) -> Float32:
            conditions = self._conditions.read(indexes, repeat=takes)
            velocity = guided(self._stage_velocity, conditions, self.guidance, self.config.omniaudio.guidance_drops)
            times = np.full(len(latents), t[0], np.float32)
            result: Float32 = velocity(latents, times)
            self.progress.advance(SAMPLING, len(latents) * self.halves)
            return result

        return self.windows.blend(of_windows, x, at_once)

    def _stage_velocity(self, x: Float32, t: Float32, conditions: Mapping[str, Array]) -> Float32:
        return self.stages.velocity(x, t, dict(conditions))

    def _decode(self, latents: Float32) -> Float32:
        sound = self.stages.decode(latents)
        self.progress.advance(DECODING)
        return sound
