"""A model's stages over sessions that take and give arrays in the computer's own memory."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omniaudio.generation.condition_cache import Spool
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.sampler import Held, euler, holding, whole_velocity
from omniaudio.generation.windows import WindowPlan
from omniaudio.model_zoo.registry import Model
from trt_engine.compile.bundle import FRAME_PREFIX, Stage
from trt_engine.runtime.session import Array, Described, Description, Session, describe_bundle
from trt_engine.runtime.spec import BackendSpec

Float32 = NDArray[np.float32]


class HostPipeline(Described):
    """`omniaudio.generation.pipeline.Stages` by sessions; a graph is opened when it is first needed."""

    def __init__(self, description: Description, open_stage: Callable[[Stage], Session]) -> None:
        super().__init__(description)
        self.session = cache(open_stage)

    def vision(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Views of frames, uint8 (batch, height, width, 3), to features (batch, …), both by name."""
        return self.session(Stage.VISION).run({FRAME_PREFIX + name: view for name, view in inputs.items()})

    def conditions(self, features: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Features of a window's frames, each (1, …), to its conditions (1, …)."""
        together = {name: np.stack([one[name] for one in features], axis=1) for name in features[0]}
        return self.session(Stage.CONDITIONER).run(together)

    def condition_store(self) -> Spool:
        """In a temporary file."""
        return Spool()

    def sample(
        self,
        start: Float32,
        windows: WindowPlan,
        conditions: Spool,
        *,
        guidance: float,
        steps: int,
        on_rows: Callable[[int], None],
        held: Held | None = None,
        begin: float = 1.0,
    ) -> Float32:
        """Noise to latents, in numpy; `on_rows` is told after every run of the transformer."""
        whole = whole_velocity(
            self._velocity,
            windows,
            conditions,
            guidance=guidance,
            drops=self.config.omniaudio.guidance_drops,
            like=start,
            on_rows=on_rows,
        )
        latents: Float32 = euler(holding(whole, start, held), start, steps, begin=begin)
        return latents

    def decode(self, latents: Float32) -> Float32:
        """Latents (batch, channels, frames) to AmbiX sound (batch, 4, samples)."""
        return self.session(Stage.DECODER).run({"latents": latents})["sound"]

    def encode(self, foa: Float32) -> Float32:
        """AmbiX sound (batch, 4, samples) to latents (batch, channels, frames)."""
        return self.session(Stage.ENCODER).run({"sound": foa})["latents"]

    def _velocity(self, x: Array, t: Array, conditions: Mapping[str, Array]) -> Array:
        return self.session(Stage.VELOCITY).run({"x": x, "t": t, **conditions})["velocity"]


def open_graphs(model: Model, spec: BackendSpec, open_session: Callable[[Stage, Path], Session]) -> Stages:
    """A model's stages by a back-end that opens one graph of its bundle at a time.

    The smallest graph is opened at once, so that a back-end that does not work is known here.

    Args:
        model: with a bundle.
        spec: the back-end's.
        open_session: makes a session of a stage's graph, an ONNX file with its weights beside it.

    Raises:
        UserError: no bundle, or a damaged one. And whatever `open_session` raises.
    """
    bundle, description = describe_bundle(model, spec)
    pipeline = HostPipeline(description, lambda stage: open_session(stage, model.folder / bundle.graphs[stage].file))
    pipeline.session(Stage.CONDITIONER)
    return pipeline
