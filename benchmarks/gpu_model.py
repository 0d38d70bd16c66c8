"""The released model's stages on a device in one precision, and ways to run them: compiled, as a CUDA graph, in fp8."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.model import random_model, round_matrices
from omniaudio.config import ModelConfig
from omniaudio.generation.sampler import euler, guided
from omniaudio.generation.windows import noise
from omniaudio.model.metaclip import MetaClip
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.vision.metaclip import FEATURES, SIZE

SEED = 0
FP8_MAX = torch.finfo(torch.float8_e4m3fn).max
WARM_UP = 3

Compute = Callable[[], Tensor]
"""A stage that reads its inputs where they lie on the device and leaves its output there."""


class Inputs:
    """What the stages of one clip read, at addresses that stay: a CUDA graph reads them again at each replay."""

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        generator = np.random.default_rng(SEED)
        diffusion = config.model.diffusion.config
        shown = max(1, round(config.duration * config.omniaudio.frame_rate))

        def random(*shape: int) -> Tensor:
            return torch.from_numpy(generator.standard_normal(shape, np.float32)).to(device)

        def frames() -> Tensor:
            values = generator.integers(0, 256, (shown, SIZE, SIZE, 3), np.uint8)
            return torch.from_numpy(values).to(device)

        self.frames = {"video_360": frames(), "video_fov": frames()}
        self.features = {name: random(1, shown, FEATURES) for name in self.frames}
        self.conditions = {
            "global": random(1, diffusion.embed_dim),
            "add": random(1, config.latent_frames // diffusion.patch_size, diffusion.embed_dim),
        }
        self.noise = torch.from_numpy(noise(SEED, 0, config.latent_channels, config.latent_frames)[None]).to(device)
        self.latents = self.noise.clone()


class DeviceModel:
    """One copy of the random model on a device; `dtype` is what its matrices and convolutions are kept in."""

    def __init__(self, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
        self.config = config
        self.dtype = dtype
        self._device = device
        with device:
            self.model = random_model(config).requires_grad_(False)
        if dtype is not torch.float32:
            round_matrices(self.model, dtype)
        self.velocity: Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor] = self.model.velocity
        self.decode: Callable[[Tensor], Tensor] = self.model.decode

    def compiled(self) -> "DeviceModel":
        """The same weights, compiled when first run."""
        other = object.__new__(DeviceModel)
        other.__dict__ |= self.__dict__
        other.velocity, other.decode = torch.compile(self.model.velocity), torch.compile(self.model.decode)
        return other

    def conditioner(self, inputs: Inputs) -> Compute:
        """Features of all frames to conditions, of which `add` is returned."""
        return self._within(lambda: self.model.conditions(inputs.features, self.config.latent_frames)["add"])

    def step(self, inputs: Inputs) -> Compute:
        """One step of the transformer with guidance."""
        return self._within(lambda: self._guided(inputs)(inputs.noise, torch.ones_like(inputs.noise[:, 0, 0])))

    def sampler(self, inputs: Inputs) -> Compute:
        """All steps, with guidance."""
        return self._within(lambda: euler(self._guided(inputs), inputs.noise, self.config.omniaudio.steps))

    def decoder(self, inputs: Inputs) -> Compute:
        """Latents to sound."""
        return self._within(lambda: self.decode(inputs.latents))

    def _guided(self, inputs: Inputs) -> Callable[[Tensor, Tensor], Tensor]:
        chosen = self.config.omniaudio
        return guided(self.velocity, inputs.conditions, chosen.guidance, chosen.guidance_drops)

    def _within(self, compute: Compute) -> Compute:
        return within(compute, self._device, self.dtype)


def within(compute: Compute, device: torch.device, dtype: torch.dtype) -> Compute:
    """The same without gradients and, for a shorter type, under autocast; float32 products are not shortened."""

    def run() -> Tensor:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, dtype is not torch.float32, False):
            return compute()

    return run


def metaclip(device: torch.device, dtype: torch.dtype) -> MetaClip:
    """MetaCLIP-H14's size with random weights (arXiv 2309.16671: a ViT-H/14 of 224² pixels).

    Raises:
        ImportError: there is no `transformers`.
    """
    import transformers  # noqa: PLC0415 - one row needs it

    torch.manual_seed(SEED)
    shape = transformers.CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        patch_size=14,
        image_size=SIZE,
        projection_dim=FEATURES,
    )
    with device:
        encoder = transformers.CLIPVisionModelWithProjection(shape)
        vision = MetaClip(encoder).eval().requires_grad_(False)
    if dtype is not torch.float32:
        round_matrices(vision, dtype)
    return vision


@dataclass(frozen=True)
class Replay:
    """A CUDA graph of a stage, and the stage itself: its weights must stay where the graph reads them."""

    compute: Compute
    graph: torch.cuda.CUDAGraph
    output: Tensor

    def __call__(self) -> Tensor:
        self.graph.replay()
        return self.output


def captured(compute: Compute) -> Replay:
    """A CUDA graph of a stage: all its kernels are started by one call. Its output is overwritten by each replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = compute()
    return Replay(compute, graph, output)


class Fp8Linear(nn.Module):
    """A linear layer in float8 (e4m3): each row of the input and of the weight has its own scale, set as it comes."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        values, self.weight_scale = _to_fp8(linear.weight.float())
        self.weight = values.t()
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        rows, scale = _to_fp8(x.flatten(0, -2))
        product: Tensor = torch._scaled_mm(
            rows, self.weight, scale_a=scale, scale_b=self.weight_scale.t(), out_dtype=torch.bfloat16
        )
        product = product.unflatten(0, x.shape[:-1])
        return product if self.bias is None else product + self.bias


def _to_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Values (rows, columns) and the scale (rows, 1) that they are multiplied by to be `x`."""
    scale = x.abs().amax(dim=-1, keepdim=True).float().clamp(min=1e-12) / FP8_MAX
    return (x / scale).to(torch.float8_e4m3fn), scale


def to_fp8(model: OmniAudio) -> None:
    """Put the linear layers of every transformer block in fp8; attention's own products and the rest stay."""
    for layer in model.dit.transformer.layers:
        for path, part in list(layer.named_modules()):
            if isinstance(part, nn.Linear) and not path.startswith("cross_attn"):
                layer.set_submodule(path, Fp8Linear(part))
