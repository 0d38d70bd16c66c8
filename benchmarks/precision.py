"""How far the draft model in each precision is from float32 in torch: velocity, latents, sound and its direction.

    python benchmarks/precision.py [--precisions fp32,fp16,bf16,fp8]

Eight windows are generated in float32 by torch, with all steps and guidance: the demo's quay, turned each time, with
its bird in another direction, and each with a seed of its own. Each precision then generates the same from the
pictures, by its own graphs of every stage. They are computed on the CPU, rounded as the graphs say
(`trt_engine.emulation`): not on a GPU. fp8 is calibrated on the quay without the bird and on other seeds. Prints a
table in Markdown: medians over the windows, and of the velocity also the worst step of all.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
import torch
from PIL import Image
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from omniaudio import zoo
from omniaudio.config import ModelConfig, load_config
from omniaudio.evaluation.metrics import direction_errors
from omniaudio.panorama import Picture
from trt_engine import bundle
from trt_engine.bundle import Stage
from trt_engine.calibration import Walk, calibrate, walk
from trt_engine.emulation import emulate
from trt_engine.precision import Amplitudes, lower
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.session import Array, Session
from trt_engine.runtime.torch import TorchSession
from trt_engine.stage_modules import load_parts, stage_functions
from trt_engine.targets import Precision

ASSETS = Path(__file__).resolve().parent.parent / "demo" / "assets"
WINDOWS = 8
CALIBRATION_WINDOWS = 2
BIRD_WIDTH = 0.1
"""Of the panorama: 36°, as in the demo."""
POWER_FLOOR = 1e-8
"""Of full scale, −80 dB: below it nothing is compared."""

Sessions = Mapping[Stage, Session]


class Distance(NamedTuple):
    """Of one window from its reference. Cosines are 1 for the same; the other two are 0."""

    velocity_cosines: tuple[float, ...]
    """One a step, both having read what the reference read there."""
    latent_cosine: float
    spectral: float
    """Log-spectral distance in dB, of all four channels."""
    angular: float
    """Between the mean intensities, in degrees."""


def quay() -> Picture:
    """The demo's panorama."""
    return np.asarray(Image.open(ASSETS / "venice.jpg").convert("RGB"))


def scene(number: int) -> Picture:
    """The quay, turned, with the bird in the middle and then the whole turned again, by different angles."""
    panorama = quay()
    width = panorama.shape[1]
    panorama = np.roll(panorama, number * width * 3 // WINDOWS, axis=1)
    picture = Image.fromarray(panorama)
    bird = Image.open(ASSETS / "bird.png").convert("RGBA")
    bird.thumbnail((round(BIRD_WIDTH * width), width))
    height = round((0.5 + 0.15 * np.sin(number)) * picture.height - bird.height / 2)
    picture.paste(bird, ((width - bird.width) // 2, height), bird)
    return np.roll(np.asarray(picture), number * width // WINDOWS, axis=1)


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


def lowered(folder: Path, work: Path, precision: Precision, scales: Amplitudes) -> dict[Stage, Session]:
    """Every stage of a bundle in a precision, emulated."""
    sessions: dict[Stage, Session] = {}
    for stage, graph in bundle.load(folder).graphs.items():
        model = ir.load(folder / graph.file)
        lower(model, precision, stage, scales)
        emulate(model)
        path = work / f"{stage}.{precision}.onnx"
        ir.save(model, path, external_data=f"{path.name}.data")
        sessions[stage] = OnnxRuntimeSession(path)
    return sessions


def sound(sessions: Sessions, latents: Array) -> Array:
    """Of one window, (4, samples)."""
    decoded: Array = sessions[Stage.DECODER].run({"latents": latents})["sound"][0]
    return decoded


def compare(sessions: Sessions, config: ModelConfig, number: int, reference: Walk, wanted: Array) -> Distance:
    """What a precision makes of one window, against what the reference made of it."""
    answers = [sessions[Stage.VELOCITY].run(inputs)["velocity"] for inputs in reference.inputs]
    made = walk(sessions, config, scene(number), seed=number)
    heard = sound(sessions, made.latents)
    return Distance(
        tuple(map(cosine, answers, reference.velocities)),
        cosine(made.latents, reference.latents),
        spectral_distance(heard, wanted, config.sample_rate),
        float(np.degrees(direction_errors(heard, wanted).angular)),
    )


def other_seed(reference: Walk, wanted: Array, other: Walk, heard: Array, rate: int) -> Distance:
    """The yardstick: how far another take of the same picture is."""
    return Distance(
        (np.nan,),
        cosine(other.latents, reference.latents),
        spectral_distance(heard, wanted, rate),
        float(np.degrees(direction_errors(heard, wanted).angular)),
    )


def row(name: str, distances: list[Distance]) -> str:
    """A line of the table."""
    velocities = [one for distance in distances for one in distance.velocity_cosines]
    latents = [distance.latent_cosine for distance in distances]
    spectral = [distance.spectral for distance in distances]
    angular = [distance.angular for distance in distances]
    cells = (
        *(f"{np.median(velocities):.6f}", f"{min(velocities):.6f}"),
        *(f"{np.median(latents):.5f}", f"{min(latents):.5f}"),
        *(f"{np.median(spectral):.2f}", f"{max(spectral):.2f}"),
        *(f"{np.median(angular):.2f}", f"{max(angular):.2f}"),
    )
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precisions", default=",".join(Precision))
    precisions = [Precision(name) for name in parser.parse_args().precisions.split(",")]
    model = zoo.find(zoo.DRAFT)
    config = load_config(model.config)
    functions = stage_functions(*load_parts(model))
    exact = {stage: TorchSession(compute, torch.device("cpu")) for stage, compute in functions.items()}
    references = [walk(exact, config, scene(number), seed=number) for number in range(WINDOWS)]
    wanted = [sound(exact, reference.latents) for reference in references]
    takes = [walk(exact, config, scene(number), seed=WINDOWS + number) for number in range(WINDOWS)]
    scales = calibrate(model.folder, [quay()] * CALIBRATION_WINDOWS)

    print("| | velocity cosine, median | worst | latent cosine, median | worst ", end="")
    print("| log-spectral distance, dB, median | worst | direction, degrees, median | worst |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for precision in precisions:
        with tempfile.TemporaryDirectory() as work:
            sessions = lowered(model.folder, Path(work), precision, scales)
            distances = [
                compare(sessions, config, number, reference, heard)
                for number, (reference, heard) in enumerate(zip(references, wanted, strict=True))
            ]
        print(row(precision, distances), flush=True)
    yardstick = [
        other_seed(reference, heard, take, sound(exact, take.latents), config.sample_rate)
        for reference, heard, take in zip(references, wanted, takes, strict=True)
    ]
    print(row("another seed", yardstick).replace("nan", "–"))


if __name__ == "__main__":
    main()
