"""From frames to latents to sound: a clip of any length, by a model's stages, in nearly constant memory.

Frames are encoded once, one at a time. Each window's conditions wait where the back-end keeps them (on a CPU, in a
temporary file). Only the latent is held whole: 4 bytes a channel and latent frame, 16 kB a second for 192 channels.
Sound is decoded in chunks.
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
"""The stages of progress."""

_GUESSED_SECONDS = {LOOKING: 0.3, SAMPLING: 0.05, DECODING: 0.6}
"""For a frame, a row of the transformer, and a window of sound: the draft model on two cores."""

FIRST_INPAINTING_TAKE = 1 << 32
"""The take number that seeds the noise for inpainting, so that the same seed does not repeat the take's own noise."""

Features = Any
"""What the vision encoder returns for one frame, in the back-end's own form, on its device."""
WindowConditions = Any
"""The conditions of one window, in the back-end's own form, on its device."""


class ConditionStore(Protocol):
    """Keeps the conditions of every window until they are sampled, where the back-end needs them."""

    def append(self, record: WindowConditions) -> None:
        """Keeps those of the next window."""
        ...

    def close(self) -> None:
        """Frees them."""
        ...


class Stages(Protocol):
    """A model's graphs on any back-end. Arrays are float32, frames uint8.

    What lies between frames and latents is in the back-end's own form, so that it stays on the GPU.
    """

    config: ModelConfig

    @property
    def name(self) -> str:
        """The model's."""
        ...

    @property
    def identity(self) -> str:
        """SHA-256 of the model's config and weights."""
        ...

    @property
    def backend(self) -> str:
        """What runs the graphs."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the libraries that run the graphs, by distribution name."""
        ...

    @property
    def exemplars(self) -> Bank:
        """Where sampling may start; empty if the model has none."""
        ...

    def vision(self, inputs: Mapping[str, Array]) -> Features:
        """The features of one frame, from its images by input name, each (1, height, width, 3)."""
        ...

    def conditions(self, features: Sequence[Features]) -> WindowConditions:
        """The conditions of one window, from the features of its frames in order."""
        ...

    def condition_store(self) -> ConditionStore:
        """A new, empty store for the conditions of one clip."""
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
            start: standard normal noise; a partly denoised latent if `begin` is less than 1.
            windows: how the latents are divided.
            conditions: of every window, in a store of this back-end.
            guidance: as in `omniaudio.generation.sampler`.
            steps: of the sampler.
            on_rows: called at least once a step with the number of rows (windows · takes · halves of guidance)
                computed since the last call; an exception ends the sampling.
            held: known latents, with as many frames as `start`.
            begin: the time t of `start`, in (0, 1]; 1 is noise.
        """
        ...

    def decode(self, latents: Float32) -> Float32:
        """AmbiX sound (batch, 4, samples) from latents (batch, channels, frames)."""
        ...

    def encode(self, foa: Float32) -> Float32:
        """Latents (batch, channels, frames) from AmbiX sound (batch, 4, samples)."""
        ...


@dataclass(frozen=True)
class Settings(GenerationOptions):
    """The options, with the model's defaults filled in. `steps` (from noise) and `guidance` as in
    `omniaudio.generation.sampler`. `variation` is the time at which sampling starts from an exemplar: 0 is the
    exemplar, 1 is noise, None is the model's own for each kind."""

    steps: int = field(kw_only=True)
    guidance: float = field(kw_only=True)


class Generation:
    """The generation of one clip's sound.

    Call `look`, then `sample`, then `sound` for each take, and `close` at the end.
    """

    def __init__(self, stages: Stages, seconds: float, chosen: Settings, report: Callable[[Report], None]) -> None:
        """`seconds` is the clip's duration. An exception in `report` cancels the generation."""
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
        """Frees the conditions."""
        self._conditions.close()

    def _tasks(self) -> list[Task]:
        count, takes = len(self.windows.windows), self.settings.takes
        units = {
            LOOKING: self.windows.total_video_frames,
            SAMPLING: count * takes * halves(self.settings.guidance) * self.settings.steps,
            DECODING: takes * len(list(chunks(self.windows.frames, self.windows.length, OVERLAP_FRAMES))),
        }
        return [Task(stage, number, _GUESSED_SECONDS[stage]) for stage, number in units.items()]

    def look(self, frames: Iterator[Rgb]) -> None:
        """Encodes the frames, which come at the config's `frame_rate`. If they end early, the last one is repeated."""
        self.progress.begin(LOOKING)
        features = self._features(islice(frames, self.windows.total_video_frames))
        for conditions in self._window_conditions(features):
            self._conditions.append(conditions)

    def sample(self, held: Held | None = None) -> Float32:
        """Latents of all takes (takes, channels, frames).

        Args:
            held: known latents, for the first latent frames of the clip; the rest is free.
        """
        chosen, windows = self.settings, self.windows
        self.progress.begin(SAMPLING)
        first = 0 if held is None else FIRST_INPAINTING_TAKE
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
        """Decodes one take's latents (channels, frames) to blocks (4, samples): exactly `samples` at `rate` Hz."""
        self.progress.begin(DECODING)
        blocks = decode_in_chunks(self._decode, latents, self.config.samples_per_latent, self.windows.length)
        return resample(blocks, self.config.sample_rate, rate, samples)

    def _features(self, frames: Iterator[Rgb]) -> Iterator[Features]:
        """The features of each frame; those of the last one are repeated for ever."""
        last: Features = None
        last_shown: dict[str, Array] | None = None
        for shown in read_ahead(self._inputs(frames)):
            if shown is not last_shown:
                last, last_shown = self.stages.vision(shown), shown
            self.progress.advance(LOOKING)
            yield last
        if last_shown is None:
            raise ValueError("there are no frames")
        while True:
            yield last

    def _inputs(self, frames: Iterator[Rgb]) -> Iterator[dict[str, Array]]:
        """The encoder's inputs for each frame. A repeated frame, as of a still image, comes as the same array, and so
        do its inputs."""
        last: Rgb | None = None
        shown: dict[str, Array] = {}
        for frame in frames:
            if frame is not last:
                inputs = encoders.find(self.config.omniaudio.vision.type).cut(frame)
                last, shown = frame, {name: array[None] for name, array in inputs.items()}
            yield shown

    def _window_conditions(self, features: Iterator[Features]) -> Iterator[WindowConditions]:
        kept: deque[Features] = deque()
        first = 0  # the index of the first one kept
        for window in self.windows.windows:
            while first < window.video_frame:
                kept.popleft()
                first += 1
            kept.extend(islice(features, self.windows.video_frames - len(kept)))
            yield self.stages.conditions(kept)

    def _decode(self, latents: Float32) -> Float32:
        sound = self.stages.decode(latents)
        self.progress.advance(DECODING)
        return sound
