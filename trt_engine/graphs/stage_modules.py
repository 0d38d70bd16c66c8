"""A model's stages as functions of torch tensors, and as modules with example inputs that graphs are made of."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from omniaudio import encoders
from omniaudio.config import ModelConfig, load_config
from omniaudio.model.checkpoint import find_weights, load_model
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model_zoo import registry
from trt_engine.compile.bundle import FRAME_PREFIX, Stage

Tensors = Mapping[str, Tensor]
Compute = Callable[[Tensors], Tensors]
Varying = Mapping[str, Mapping[int, tuple[str, int]]]

OTHER_TOKENS = 24
"""A length in tokens, unlike the native ones, at which graphs are compared with torch."""


class StageModule(nn.Module):
    """One stage as a graph sees it: tensors in the order of `inputs` in, tensors in the order of `outputs` out.

    `examples` are inputs of the native length, two of each. `varying` names the dimensions that may differ from them:
    input → dimension → (name, another size that is allowed).
    """

    def __init__(
        self,
        model: nn.Module,
        compute: Compute,
        examples: Tensors,
        varying: Varying,
    ) -> None:
        super().__init__()
        self.model = model
        self.compute = compute
        self.examples = examples
        self.varying = varying
        self.inputs = tuple(examples)
        with torch.inference_mode():
            self.example_outputs = dict(compute(examples))
        self.outputs = tuple(self.example_outputs)

    def other_inputs(self) -> dict[str, Tensor]:
        """Inputs of other sizes than the examples wherever sizes may vary."""
        others = dict(self.examples)
        for name, dimensions in self.varying.items():
            for dimension, (_, size) in dimensions.items():
                others[name] = others[name].repeat_interleave(2, dimension).narrow(dimension, 0, size)
        return others

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = self.compute(dict(zip(self.inputs, tensors, strict=True)))
        return tuple(outputs[name] for name in self.outputs)


def stage_functions(model: OmniAudio, vision: nn.Module | None) -> dict[Stage, Compute]:
    """What each stage computes, from tensors by name to tensors by name, on the model's device. Without
    `vision` there is no stage `VISION`."""

    seeing: dict[Stage, Compute] = {}
    if vision is not None:

        def see(tensors: Tensors) -> Tensors:
            features: Tensors = vision({name.removeprefix(FRAME_PREFIX): frames for name, frames in tensors.items()})
            return features

        seeing[Stage.VISION] = see
    return {
        **seeing,
        Stage.CONDITIONER: lambda tensors: model.conditions(tensors, model.config.latent_frames),
        Stage.VELOCITY: lambda tensors: {"velocity": model.velocity(tensors["x"], tensors["t"], tensors)},
        Stage.DECODER: lambda tensors: {"sound": model.decode(tensors["latents"])},
        Stage.ENCODER: lambda tensors: {"latents": model.encode(tensors["sound"])},
    }


def stage_modules(model: OmniAudio, vision: nn.Module | None, views: Tensors) -> dict[Stage, StageModule]:
    """The stages of a model.

    Args:
        model: on any device, in float32.
        vision: from views of frames to features, both by name; None for a model without a vision encoder.
        views: example inputs of `vision` for two frames, uint8 (2, height, width, 3) by name.
    """
    config = model.config
    frames, ratio = config.latent_frames, config.samples_per_latent
    batch, length = ("batch", 3), ("frames", OTHER_TOKENS * config.model.diffusion.config.patch_size)
    device = next(model.parameters()).device
    compute = stage_functions(model, vision)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    shown = max(1, round(config.duration * config.omniaudio.frame_rate))
    seeing: dict[Stage, StageModule] = {}
    if vision is None:
        features = {
            part.id: random(2, shown, len(part.config.kinds)).softmax(-1)
            for part in config.model.conditioning.configs
            if part.type == "kind_vector"
        }
    else:
        see = seeing[Stage.VISION] = StageModule(
            vision,
            compute[Stage.VISION],
            {FRAME_PREFIX + name: view for name, view in views.items()},
            {FRAME_PREFIX + name: {0: batch} for name in views},
        )
        features = {
            name: random(2, shown, *feature.shape[1:]) * feature.std() + feature.mean()
            for name, feature in see.example_outputs.items()
        }
    condition = StageModule(
        model,
        compute[Stage.CONDITIONER],
        features,
        {name: {0: batch} for name in features},
    )
    flow_inputs = {
        "x": random(2, config.latent_channels, frames),
        "t": torch.tensor([0.7, 0.3]).to(device),
        **condition.example_outputs,
    }
    sizes = {
        "x": {0: batch, 2: length},
        "t": {0: batch},
        "global": {0: batch},
        "add": {0: batch, 1: ("tokens", OTHER_TOKENS)},
    }
    flow = StageModule(
        model,
        compute[Stage.VELOCITY],
        flow_inputs,
        {name: sizes[name] for name in flow_inputs},
    )
    latents = random(2, config.latent_channels, frames)
    if model.skip is not None:  # an iterative decoder diverges on latents that no sound has
        latents = model.skip.like_data(latents)
    decode = StageModule(
        model,
        compute[Stage.DECODER],
        {"latents": latents},
        {"latents": {0: batch, 2: length}},
    )
    encode = StageModule(
        model,
        compute[Stage.ENCODER],
        {"sound": 0.1 * random(2, config.audio_channels, frames * ratio)},
        {"sound": {0: batch, 2: ("samples", length[1] * ratio)}},
    )
    return {
        **seeing,
        Stage.CONDITIONER: condition,
        Stage.VELOCITY: flow,
        Stage.DECODER: decode,
        Stage.ENCODER: encode,
    }


def load_parts(model: registry.Model) -> tuple[OmniAudio, nn.Module | None]:
    """A model and its vision encoder, if it has one, in float32 on the CPU.

    Raises:
        UserError: files are missing or damaged.
    """
    config = load_config(model.config)
    loaded = load_model(config, find_weights(model.folder))
    if not config.sees:
        return loaded, None
    return loaded, encoders.find(config.omniaudio.vision.type).load_in_torch(registry.user_folder())


def example_frames(config: ModelConfig) -> dict[str, Tensor]:
    """The views of two frames of noise, as inputs of the vision encoder; empty for a model without one."""
    if not config.sees:
        return {}
    frames = np.random.default_rng(0).integers(0, 256, (2, 512, 1024, 3), np.uint8)
    encoder = encoders.find(config.omniaudio.vision.type)
    shown = [encoder.cut(frame) for frame in frames]
    return {name: torch.from_numpy(np.stack([one[name] for one in shown])) for name in shown[0]}
