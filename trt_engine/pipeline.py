"""A model that is ready to generate: `omniaudio.generator.Stages` over the sessions of a back-end."""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from omniaudio import zoo
from omniaudio.config import ModelConfig, load_config
from omniaudio.errors import ExitCode, UserError
from trt_engine import bundle
from trt_engine.bundle import PICTURE, Stage
from trt_engine.runtime.session import Array, Backend, Session, choose

_log = logging.getLogger(__name__)


class Pipeline:
    """The stages of one model on one back-end; a graph is opened when it is first needed."""

    def __init__(
        self, name: str, identity: str, config: ModelConfig, backend: Backend, open_stage: Callable[[Stage], Session]
    ) -> None:
        self.name = name
        self.identity = identity
        self.config = config
        self.backend = backend
        self._session = cache(open_stage)

    def vision(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Pictures, uint8 (batch, height, width, 3), to features (batch, …), both by name."""
        return self._session(Stage.VISION).run({PICTURE + name: picture for name, picture in inputs.items()})

    def conditions(self, features: dict[str, Array], latent_frames: int) -> dict[str, Array]:
        """Features of windows (batch, pictures, …) to conditions; windows have the model's native length."""
        if latent_frames != self.config.latent_frames:
            raise ValueError(f"the conditioner is made for {self.config.latent_frames} frames, not {latent_frames}")
        return self._session(Stage.CONDITIONER).run(features)

    def velocity(self, x: Array, t: Array, conditions: dict[str, Array]) -> Array:
        """Latents (batch, channels, frames) at the times (batch,) to the flow's velocity there."""
        return self._session(Stage.VELOCITY).run({"x": x, "t": t, **conditions})["velocity"]

    def decode(self, latents: Array) -> Array:
        """Latents (batch, channels, frames) to AmbiX sound (batch, 4, samples)."""
        return self._session(Stage.DECODER).run({"latents": latents})["sound"]

    def encode(self, foa: Array) -> Array:
        """AmbiX sound (batch, 4, samples) to latents (batch, channels, frames)."""
        return self._session(Stage.ENCODER).run({"sound": foa})["latents"]


def open_pipeline(model: zoo.Model, backend: str) -> Pipeline:
    """Make a model ready on a back-end, by its name or `auto`.

    `auto` takes the fastest back-end that can open the model and warns where that is not the first choice. The model
    is always the one that was asked for.

    Raises:
        UserError: no such back-end, none that can open the model, or a damaged model.
    """
    candidates = choose(backend)
    for number, candidate in enumerate(candidates):
        try:
            return _open(model, candidate)
        except UserError:
            raise
        except Exception as error:  # whatever a back-end fails with, the next one may do
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if number + 1 == len(candidates):
                raise UserError(
                    f"The back-end {candidate} cannot open the model {model.name} ({reason}): choose another one.",
                    ExitCode.NO_BACKEND,
                ) from error
            _log.warning(
                "The back-end %s cannot open the model (%s): using %s.", candidate, reason, candidates[number + 1]
            )
    raise AssertionError("there is always a candidate")


def _open(model: zoo.Model, backend: Backend) -> Pipeline:
    if backend is Backend.TORCH:
        from trt_engine.runtime import torch  # noqa: PLC0415 - generating needs no torch

        stages = torch.load_stages(model)
        identity = bundle.identity(
            bundle.record(model.config), tuple(map(bundle.record, bundle.weight_files(model.folder)))
        )
        return Pipeline(model.name, identity, load_config(model.config), backend, stages.__getitem__)
    found = bundle.load(model.folder)
    config = load_config(model.folder / found.config.file)
    open_graph = _graph_opener(backend)
    pipeline = Pipeline(
        model.name, found.identity, config, backend, lambda stage: open_graph(model.folder / found.graphs[stage].file)
    )
    # The smallest graph, so that a back-end that does not work is known here.
    pipeline._session(Stage.CONDITIONER)
    return pipeline


def _graph_opener(backend: Backend) -> Callable[[Path], Session]:
    if backend is Backend.OPENVINO:
        from trt_engine.runtime.openvino import OpenVinoSession  # noqa: PLC0415 - each is installed or not

        return OpenVinoSession
    from trt_engine.runtime.onnxruntime import OnnxRuntimeSession  # noqa: PLC0415

    return OnnxRuntimeSession
