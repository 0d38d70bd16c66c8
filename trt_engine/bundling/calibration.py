"""Measures the largest operands of a velocity graph's matrix products while the sampler runs on real panoramas, or on
every kind of sound that the model knows."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from omniaudio import encoders
from omniaudio.config import ModelConfig, load_config
from omniaudio.generation.sampler import euler, guided
from omniaudio.generation.stems import kinds_of
from omniaudio.generation.windows import noise
from omniaudio.video.panorama import Rgb
from trt_engine.compile import bundle
from trt_engine.compile.bundle import FRAME_PREFIX, Stage
from trt_engine.compile.targets import Precision
from trt_engine.graphs.precision import lower
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.session import Array, Session

_SEED = 1000
_SUFFIX = ".amplitude"


@dataclass(frozen=True)
class Walk:
    """A run of the sampler: inputs and outputs of the velocity graph at every step, and the final latents (windows,
    channels, frames)."""

    inputs: tuple[dict[str, Array], ...]
    velocities: tuple[Array, ...]
    latents: Array


def seen(sessions: Mapping[Stage, Session], config: ModelConfig, panorama: Rgb) -> dict[str, Array]:
    """The features of one window of a still panorama, uint8 (height, width, 3)."""
    views = encoders.find(config.omniaudio.vision.type).cut(panorama)
    shown = {FRAME_PREFIX + name: view[None] for name, view in views.items()}
    features = sessions[Stage.VISION].run(shown)
    return {name: np.repeat(value[:, None], _looks(config), axis=1) for name, value in features.items()}


def every_kind(config: ModelConfig) -> dict[str, Array]:
    """The features of one window of each kind that a model of kinds knows."""
    (part,) = config.model.conditioning.configs
    vectors = np.eye(len(kinds_of(config)), dtype=np.float32)
    return {part.id: np.repeat(vectors[:, None], _looks(config), axis=1)}


def _looks(config: ModelConfig) -> int:
    """Features of one window."""
    return max(1, round(config.duration * config.omniaudio.frame_rate))


def walk(sessions: Mapping[Stage, Session], config: ModelConfig, features: Mapping[str, Array], seed: int) -> Walk:
    """Generate windows, from noise, with the steps and the guidance of the model's config.

    Args:
        sessions: of the stages `CONDITIONER` and `VELOCITY`.
        config: the model's.
        features: by name, each (windows, features, …).
        seed: of the noise.
    """
    settings = config.omniaudio
    conditions = sessions[Stage.CONDITIONER].run(features)
    inputs: list[dict[str, Array]] = []
    velocities: list[Array] = []

    def velocity(x: Array, t: Array, conditions: Mapping[str, Array]) -> Array:
        inputs.append({"x": x, "t": t, **conditions})
        velocities.append(sessions[Stage.VELOCITY].run(inputs[-1])["velocity"])
        return velocities[-1]

    windows = len(next(iter(features.values())))
    start = np.stack([noise(seed, window, config.latent_channels, config.latent_frames) for window in range(windows)])
    latents = euler(guided(velocity, conditions, settings.guidance, settings.guidance_drops), start, settings.steps)
    return Walk(tuple(inputs), tuple(velocities), latents)


def calibrate(folder: Path, panoramas: Sequence[Rgb]) -> dict[str, float]:
    """`amplitudes` of a bundle's velocity graph, over one window for each panorama or each kind, on the CPU.

    Args:
        folder: the bundle's.
        panoramas: uint8 (height, width, 3); each gets other noise. Empty for a model without a vision encoder.

    Raises:
        UserError: the bundle is not whole.
    """
    found = bundle.load(folder)
    config = load_config(folder / found.config.file)
    graphs = {stage: folder / graph.file for stage, graph in found.graphs.items()}
    needed = {Stage.VISION, Stage.CONDITIONER, Stage.VELOCITY} & graphs.keys()
    sessions = {stage: OnnxRuntimeSession(graphs[stage]) for stage in needed}
    features = (seen(sessions, config, panorama) for panorama in panoramas) if panoramas else iter([every_kind(config)])
    walks = (walk(sessions, config, one, _SEED + number) for number, one in enumerate(features))
    return amplitudes(graphs[Stage.VELOCITY], (inputs for one in walks for inputs in one.inputs))


def amplitudes(graph: Path, inputs: Iterable[Mapping[str, Array]]) -> dict[str, float]:
    """The largest magnitudes of the values that fp8 quantises, by name: what the products of weights read.

    Args:
        graph: the float32 velocity graph.
        inputs: what it is shown, as in `Walk.inputs`.
    """
    model = ir.load(graph)
    lower(model, Precision.FP32, Stage.VELOCITY)
    operands = dict.fromkeys(_operands(model.graph))
    for value in operands:
        _observe(model.graph, value)
    largest = dict.fromkeys((str(value.name) for value in operands), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        observed = Path(folder) / "observed.onnx"
        ir.save(model, observed, external_data="observed.data")
        session = OnnxRuntimeSession(observed)
        for one in inputs:
            found = session.run(one)
            for name in largest:
                largest[name] = max(largest[name], float(found[name + _SUFFIX]))
    return largest


def _operands(graph: ir.Graph) -> list[ir.Value]:
    """Of the tokens' products with weights but the first and the last one, by which they enter and leave the
    transformer: those two are small, and rounding them costs much. Left out too is `Gemm`, which is what linear layers
    of vectors become: the time's, and the norms' scales, which multiply every token."""
    read = []
    for node in graph:
        operand, weight = (*node.inputs, None, None)[:2]
        if node.op_type == "MatMul" and operand is not None and weight is not None and weight.is_initializer():
            read.append(operand)
    return read[1:-1]


def _observe(graph: ir.Graph, value: ir.Value) -> None:
    """Make the largest magnitude of a value an output."""
    magnitude = ir.node("Abs", [value])
    largest = ir.node("ReduceMax", [magnitude.outputs[0]], {"keepdims": 0})
    for node in (magnitude, largest):
        graph.append(node)
    output = largest.outputs[0]
    output.name, output.type = f"{value.name}{_SUFFIX}", ir.TensorType(ir.DataType.FLOAT)
    output.shape = ir.Shape([])
    graph.outputs.append(output)
