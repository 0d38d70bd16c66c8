"""The released model's size on a CPU, one variant in a process: `python -m benchmarks.full_size VARIANT TASK FOLDER`.

`parts` measures the opening, one step of the transformer with guidance (a batch of two) and the decoder; `whole` a
native length of sound from conditions: all steps and the decoder. Prints seconds as a JSON object.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np

from omniaudio.config import ModelConfig, load_config
from omniaudio.generation.sampler import euler, guided
from omniaudio.generation.windows import noise
from trt_engine.runtime.session import Array

SEED = 0

Precision = Literal["f32", "bf16"]
Graph = Callable[[Mapping[str, Array]], dict[str, Array]]


class Variant(StrEnum):
    """What computes, and the transformer's precision; the decoder stays in float32, as its rounding would be heard.

    The first is how the released code runs on a CPU.
    """

    TORCH_FP32 = "torch eager fp32"
    TORCH_BF16 = "torch eager bf16"
    ONNXRUNTIME = "ONNX Runtime fp32"
    OPENVINO_F32 = "OpenVINO f32"
    OPENVINO_BF16 = "OpenVINO bf16"

    @property
    def needs_bf16(self) -> bool:
        """Whether the processor has to multiply in bfloat16 by itself: emulated, it is slower than float32."""
        return self in {Variant.TORCH_BF16, Variant.OPENVINO_BF16}


class Task(StrEnum):
    """What a process is for."""

    PARTS = "parts"
    WHOLE = "whole"


class Part(StrEnum):
    """What is timed."""

    OPEN = "open"
    STEP = "step"
    DECODE = "decode"
    WHOLE = "whole"


@dataclass(frozen=True)
class Opened:
    """A variant that is ready: velocity of (x, t, conditions), and sound of latents, each with a batch."""

    velocity: Callable[[Array, Array, Mapping[str, Array]], Array]
    decode: Callable[[Array], Array]


def open_variant(variant: Variant, folder: Path) -> Opened:
    """Make a variant of the model in a folder ready."""
    if variant in {Variant.TORCH_FP32, Variant.TORCH_BF16}:
        return _open_torch(folder, variant is Variant.TORCH_BF16)
    flow = _open_graph(variant, folder / "velocity.onnx", "bf16" if variant.needs_bf16 else "f32")
    decoder = _open_graph(variant, folder / "decoder.onnx", "f32")
    return Opened(
        lambda x, t, conditions: flow({"x": x, "t": t, **conditions})["velocity"],
        lambda latents: decoder({"latents": latents})["sound"],
    )


def _open_graph(variant: Variant, graph: Path, precision: Precision) -> Graph:
    if variant is Variant.ONNXRUNTIME:
        from trt_engine.runtime.onnxruntime import OnnxRuntimeSession  # noqa: PLC0415 - each process needs one of them

        return OnnxRuntimeSession(graph).run
    from trt_engine.runtime.openvino import OpenVinoSession  # noqa: PLC0415

    return OpenVinoSession(graph, precision).run


def _open_torch(folder: Path, bf16: bool) -> Opened:
    import torch  # noqa: PLC0415

    from benchmarks.model import round_matrices  # noqa: PLC0415
    from omniaudio.model.checkpoint import find_weights, load_model  # noqa: PLC0415

    model = load_model(load_config(folder), find_weights(folder))
    if bf16:
        round_matrices(model.dit, torch.bfloat16)

    def run(compute: Callable[..., Any], autocast: bool, *tensors: Array) -> Array:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            computed: Array = compute(*map(torch.from_numpy, tensors)).float().numpy()
        return computed

    def velocity(x: Array, t: Array, conditions: Mapping[str, Array]) -> Array:
        names = list(conditions)
        return run(
            lambda x, t, *told: model.velocity(x, t, dict(zip(names, told, strict=True))),
            bf16,
            x,
            t,
            *conditions.values(),
        )

    return Opened(velocity, lambda latents: run(model.decode, False, latents))


def random_conditions(config: ModelConfig) -> dict[str, Array]:
    """One window's conditions of the released form, of noise."""
    diffusion = config.model.diffusion.config
    generator = np.random.default_rng(SEED)
    shapes = {
        "global": (1, diffusion.embed_dim),
        "add": (1, config.latent_frames // diffusion.patch_size, diffusion.embed_dim),
    }
    return {name: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def measure(variant: Variant, task: Task, folder: Path) -> dict[str, float]:
    """Seconds by part. The step is the second one: a first one also prepares kernels and memory."""
    config = load_config(folder)
    conditions = random_conditions(config)
    chosen = config.omniaudio
    x = noise(SEED, 0, config.latent_channels, config.latent_frames)[None]
    seconds: dict[str, float] = {}

    def timed(part: Part, compute: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = compute()
        seconds[part] = time.perf_counter() - began
        return result

    opened = timed(Part.OPEN, lambda: open_variant(variant, folder))
    velocity = guided(opened.velocity, conditions, chosen.guidance, chosen.guidance_drops)
    if task is Task.WHOLE:
        sound = timed(Part.WHOLE, lambda: opened.decode(euler(velocity, x, chosen.steps)))
    else:
        times = np.ones(1, np.float32)
        velocity(x, times)
        timed(Part.STEP, lambda: velocity(x, times))
        sound = timed(Part.DECODE, lambda: opened.decode(x))
    if not np.isfinite(sound).all():
        raise SystemExit(f"{variant} gives sound that is no numbers")
    return seconds


if __name__ == "__main__":
    print(json.dumps(measure(Variant(sys.argv[1]), Task(sys.argv[2]), Path(sys.argv[3]))))
