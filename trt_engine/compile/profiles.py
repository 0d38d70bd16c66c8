"""Which sizes engines take: from what the generator computes at once to the shapes of every input."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from omniaudio.config import ModelConfig
from omniaudio.generation.decoding import OVERLAP_FRAMES
from omniaudio.generation.sampler import ROWS_AT_ONCE
from omniaudio.generation.windows import plan
from omniaudio_client.options import MAX_TAKES
from trt_engine.compile.bundle import Graph, Sizes, Stage

MAX_SECONDS = 3600.0
"""The longest clip that engines can be built for."""


class Limits(BaseModel):
    """The longest clip, in seconds, and the most takes of it at once, that engines are to serve."""

    model_config = ConfigDict(frozen=True)

    max_seconds: float = Field(default=600.0, gt=0, le=MAX_SECONDS, allow_inf_nan=False)
    max_takes: int = Field(default=4, ge=1, le=MAX_TAKES)


class Range(NamedTuple):
    """The minimum, usual and maximum of a size."""

    minimum: int
    optimum: int
    maximum: int


def ranges(stage: Stage, config: ModelConfig, limits: Limits) -> Mapping[str, Range]:
    """The sizes that vary in a stage's inputs, by the names that its graph gives them.

    However long a clip is, the transformer is shown windows of the model's native length, and the decoder chunks of no
    more; so a longer clip makes more windows at once, and not longer ones. The usual case is one take of one window
    with guidance.
    """
    patch, ratio = config.model.diffusion.config.patch_size, config.samples_per_latent
    native = config.latent_frames
    shortest = patch * -(-(OVERLAP_FRAMES + 1) // patch)  # what is left at the end of a clip, to be decoded
    frames = Range(min(shortest, native), native, native)
    if stage is Stage.VELOCITY:
        clip = max(1, -(-round(limits.max_seconds * config.sample_rate) // ratio))
        windows = plan(clip, native, config.omniaudio.frame_rate * ratio / config.sample_rate, patch).windows
        rows = min(2 * limits.max_takes * len(windows), max(2 * limits.max_takes, ROWS_AT_ONCE))
        return {"batch": Range(1, 2, rows), "frames": frames, "tokens": Range(*(size // patch for size in frames))}
    batch = Range(1, 1, 1)
    if stage is Stage.VISION:
        batch = Range(1, 1, max(1, round(config.duration * config.omniaudio.frame_rate)))  # a window's frames
    return {"batch": batch, "frames": frames, "samples": Range(*(size * ratio for size in frames))}


def profile(stage: Stage, graph: Graph, config: ModelConfig, limits: Limits) -> dict[str, Sizes]:
    """The shapes of every input of a stage's graph."""
    sizes = ranges(stage, config, limits)

    def shapes(shape: tuple[int | str, ...]) -> Sizes:
        varying = [Range(size, size, size) if isinstance(size, int) else sizes[size] for size in shape]
        minimum, optimum, maximum = zip(*varying, strict=True)
        return Sizes(minimum=minimum, optimum=optimum, maximum=maximum)

    return {tensor.name: shapes(tensor.shape) for tensor in graph.inputs}
