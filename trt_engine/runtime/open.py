"""A model that is ready to generate: which back-end runs it, and its `omniaudio.generation.pipeline.Stages` there."""

import logging
from collections.abc import Callable
from pathlib import Path

from omniaudio.config import load_config
from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.exemplars import Bank
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo import registry
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Bundle, Stage
from trt_engine.compile.targets import Flavour, native_architecture
from trt_engine.runtime.host import HostPipeline
from trt_engine.runtime.session import AUTO, GRAPHICS, PROCESSORS, Backend, Description, Session, named

LARGE_BYTES = 500_000_000
"""Weights from which on the transformer is nearly all of the work, so that OpenVINO computes it in bfloat16 where the
processor can: 1.8 times as fast as ONNX Runtime for the released size, with 4 % of rounding in the velocity. In a small
model the rounding would buy nothing."""

_log = logging.getLogger(__name__)


def open_pipeline(model: registry.Model, backend: str) -> Stages:
    """Make a model ready on a back-end, by its name or `auto`.

    `auto` takes the fastest back-end that is here and has what it needs for this model, and warns where that is not the
    first choice: on a machine with a GPU, TensorRT and TensorRT-RTX, whose engines the bundle must hold; then OpenVINO
    and ONNX Runtime. The model is always the one that was asked for.

    Raises:
        UserError: no such back-end, none that can open the model, or a damaged model.
    """
    candidates = candidates_for(model) if backend == AUTO else (named(backend),)
    for candidate, following in zip(candidates, (*candidates[1:], None), strict=True):
        try:
            return _open(model, candidate)
        except Exception as error:  # whatever a back-end fails with, the next one may do
            if isinstance(error, UserError):
                if error.code is not ExitCode.NO_BACKEND or following is None:
                    raise
                reason = error.sentence.removesuffix(".")
            else:
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if following is None:
                raise UserError(
                    f"The back-end {candidate} cannot open the model {model.name} ({reason}): choose another one.",
                    ExitCode.NO_BACKEND,
                ) from error
            _log.warning("The back-end %s cannot open the model (%s): using %s.", candidate, reason, following)
    raise AssertionError("there is always a candidate")


def candidates_for(model: registry.Model) -> tuple[Backend, ...]:
    """The back-ends that `auto` tries for a model, in order.

    Raises:
        UserError: none is installed.
    """
    found = [backend for backend in GRAPHICS if backend.installed]
    if found and not _has_gpu():
        found = []
    processors = [backend for backend in PROCESSORS if backend.installed]
    if Backend.OPENVINO in processors and _is_large(bundle.load(model.folder)):
        from trt_engine.runtime.openvino import has_bfloat16  # noqa: PLC0415 - each is installed or not

        if has_bfloat16():
            processors.sort(key=lambda backend: backend is not Backend.OPENVINO)
    found += processors
    if not found:
        raise UserError(f"No back-end is installed: run {Backend.ONNXRUNTIME.installation}.", ExitCode.NO_BACKEND)
    return tuple(found)


def _open(model: registry.Model, backend: Backend) -> Stages:
    if backend is Backend.TORCH:
        from trt_engine.graphs.stage_modules import load_parts  # noqa: PLC0415
        from trt_engine.runtime.torch import TorchPipeline  # noqa: PLC0415 - generating needs no torch

        identity = bundle.identity(
            bundle.record(model.config),
            tuple(map(bundle.record, (*bundle.weight_files(model.folder), *bundle.exemplar_files(model.folder)))),
        )
        description = Description(model.name, identity, load_config(model.config), backend, Bank.load(model.folder))
        return TorchPipeline(description, *load_parts(model))
    found = bundle.load(model.folder)
    config = load_config(model.folder / found.config.file)
    description = Description(model.name, found.identity, config, backend, Bank.load(model.folder))
    if backend in GRAPHICS:
        from trt_engine.runtime.tensorrt.pipeline import TensorRtPipeline  # noqa: PLC0415

        return TensorRtPipeline(description, model.folder, found, Flavour(backend))
    open_graph = _graph_opener(backend, found)
    pipeline = HostPipeline(description, lambda stage: open_graph(stage, model.folder / found.graphs[stage].file))
    # The smallest graph, so that a back-end that does not work is known here.
    pipeline.session(Stage.CONDITIONER)
    return pipeline


def _graph_opener(backend: Backend, found: Bundle) -> Callable[[Stage, Path], Session]:
    if backend is Backend.OPENVINO:
        from trt_engine.runtime.openvino import OpenVinoSession, Precision  # noqa: PLC0415

        # Only the transformer: 4 % of rounding in a decoder would be heard as noise.
        flow: Precision = "bf16" if _is_large(found) else "f32"
        return lambda stage, graph: OpenVinoSession(graph, flow if stage is Stage.VELOCITY else "f32")
    from trt_engine.runtime.onnxruntime import OnnxRuntimeSession  # noqa: PLC0415

    return lambda stage, graph: OnnxRuntimeSession(graph)


def _is_large(found: Bundle) -> bool:
    return sum(file.size for file in found.graph_weights) >= LARGE_BYTES


def _has_gpu() -> bool:
    try:
        native_architecture()
    except UserError:
        return False
    return True
