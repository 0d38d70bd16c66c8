"""How far the draft model in each precision is from float32 in torch: velocity, latents and sound.

    python -m benchmarks.precision [--precisions fp32,fp16,bf16,fp8]

Eight kinds of sound, spread over all that it knows, are generated from noise in float32 by torch, one window each,
with all steps and guidance. Each precision then generates the same by its own graphs of every stage. They are computed
on the CPU, rounded as the graphs say (`trt_engine.graphs.emulation`): not on a GPU. fp8 is calibrated as
`omniaudio build` does it, by every kind and other noise.
Prints a table in Markdown: medians and the worst of the kinds and steps.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
import torch
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from omniaudio.config import ModelConfig, load_config
from omniaudio.model_zoo import registry
from trt_engine.bundling.calibration import Walk, calibrate, every_kind, walk
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Stage
from trt_engine.compile.targets import Precision
from trt_engine.graphs.emulation import emulate
from trt_engine.graphs.precision import Amplitudes, lower
from trt_engine.graphs.stage_modules import load_parts, stage_functions
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.session import Array, Session
from trt_engine.runtime.torch.pipeline import TorchSession

WINDOWS = 8
SEED = 0
POWER_FLOOR = 1e-8
"""Of full scale, −80 dB: below it nothing is compared."""

Sessions = Mapping[Stage, Session]


class Distance(NamedTuple):
    """Of one window from its reference. Cosines are 1 for the same, the distance is 0."""

    velocity_cosines: tuple[float, ...]
    """One a step, both having read what the reference read there."""
    latent_cosine: float
    spectral: float
    """Log-spectral distance in dB."""


def chosen(config: ModelConfig) -> dict[str, Array]:
    """The features of one window of each of the kinds that are compared."""
    features = every_kind(config)
    return {name: value[:: len(value) // WINDOWS][:WINDOWS] for name, value in features.items()}


def cosine(first: Array, second: Array) -> float:
    """Of two arrays as vectors."""
    a, b = first.ravel().astype(float), second.ravel().astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def spectral_distance(first: Array, second: Array, rate: int) -> float:
    """Root mean square over the bins of the difference of levels in dB, the mean over frames and channels, of two
    sounds (channels, samples) (Gray and Markel 1976)."""
    transform = ShortTimeFFT(hann(2048, sym=False), 512, rate, scale_to="magnitude")
    levels = [10 * np.log10(np.abs(transform.stft(sound)) ** 2 + POWER_FLOOR) for sound in (first, second)]
    return float(np.sqrt(np.square(levels[0] - levels[1]).mean(axis=1)).mean())


def lowered(folder: Path, target: Path, precision: Precision, scales: Amplitudes) -> dict[Stage, Session]:
    """Every stage of a bundle in a precision, emulated."""
    sessions: dict[Stage, Session] = {}
    for stage, graph in bundle.load(folder).graphs.items():
        model = ir.load(folder / graph.file)
        lower(model, precision, stage, scales)
        emulate(model)
        path = target / f"{stage}.{precision}.onnx"
        ir.save(model, path, external_data=f"{path.name}.data")
        sessions[stage] = OnnxRuntimeSession(path)
    return sessions


def sound(sessions: Sessions, latents: Array) -> Array:
    """Of every window, (windows, channels, samples)."""
    return sessions[Stage.DECODER].run({"latents": latents})["sound"]


def compare(sessions: Sessions, config: ModelConfig, reference: Walk, wanted: Array) -> list[Distance]:
    """What a precision makes of each window, against what the reference made of it."""
    answers = [sessions[Stage.VELOCITY].run(inputs)["velocity"] for inputs in reference.inputs]
    made = walk(sessions, config, chosen(config), SEED)
    heard = sound(sessions, made.latents)
    return [
        Distance(
            tuple(cosine(one[window], exact[window]) for one, exact in zip(answers, reference.velocities, strict=True)),
            cosine(made.latents[window], reference.latents[window]),
            spectral_distance(heard[window], wanted[window], config.sample_rate),
        )
        for window in range(WINDOWS)
    ]


def row(name: str, distances: list[Distance]) -> str:
    """A line of the table."""
    velocities = [one for distance in distances for one in distance.velocity_cosines]
    latents = [distance.latent_cosine for distance in distances]
    spectral = [distance.spectral for distance in distances]
    cells = (
        *(f"{np.median(velocities):.6f}", f"{min(velocities):.6f}"),
        *(f"{np.median(latents):.5f}", f"{min(latents):.5f}"),
        *(f"{np.median(spectral):.2f}", f"{max(spectral):.2f}"),
    )
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precisions", default=",".join(Precision))
    precisions = [Precision(name) for name in parser.parse_args().precisions.split(",")]
    model = registry.find(registry.DRAFT)
    config = load_config(model.config)
    functions = stage_functions(*load_parts(model))
    exact = {stage: TorchSession(compute, torch.device("cpu")) for stage, compute in functions.items()}
    reference, other = (walk(exact, config, chosen(config), seed) for seed in (SEED, SEED + 1))
    wanted = sound(exact, reference.latents)
    scales = calibrate(model.folder, [])

    print("| | velocity cosine, median | worst | latent cosine, median | worst ", end="")
    print("| log-spectral distance, dB, median | worst |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for precision in precisions:
        with tempfile.TemporaryDirectory() as target:
            sessions = lowered(model.folder, Path(target), precision, scales)
            print(row(precision, compare(sessions, config, reference, wanted)), flush=True)
    yardstick = [
        Distance((np.nan,), cosine(*pair[:2]), spectral_distance(*pair[2:], config.sample_rate))
        for pair in zip(other.latents, reference.latents, sound(exact, other.latents), wanted, strict=True)
    ]
    print(row("another seed", yardstick).replace("nan", "–"))


if __name__ == "__main__":
    main()
