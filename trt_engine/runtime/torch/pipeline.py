"""torch, by the model's own modules: on a CUDA device, Apple's GPU or the CPU.

From the frames to the latents all data stays on the device. The path over CUDA was written against torch's
interface and has not been run on a GPU by the project's tests; what runs there is, but for the captured graph, the code
that the tests run on the CPU.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omniaudio.generation.sampler import Held, euler, halves, holding, whole_velocity
from omniaudio.generation.windows import WindowPlan
from omniaudio.model.omniaudio import OmniAudio
from trt_engine.compile.bundle import FRAME_PREFIX, Stage
from trt_engine.graphs.stage_modules import Compute, Tensors, stage_functions
from trt_engine.runtime.session import Array, Described, Description, threads

Float32 = NDArray[np.float32]
Velocity = Callable[[Tensor, Tensor, Tensors], Tensor]

# What cuBLAS needs to give the same bits again; it is read when a CUDA device is first used.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def best_device() -> torch.device:
    """A CUDA device where there is one, or Apple's GPU, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class TorchSession:
    """One stage in torch: its function is given tensors by name, and gives tensors by name."""

    def __init__(self, compute: Compute, device: torch.device) -> None:
        if count := threads():
            torch.set_num_threads(count)
        # The same seed must give the same bits; where an operation cannot, torch says so.
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # fills every new tensor
        # cuDNN's convolutions would round float32 to TF32's 10 bits; of matrices torch does not.
        torch.backends.cudnn.allow_tf32 = False
        self.compute = torch.inference_mode()(compute)
        self._device = device

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output."""
        outputs = self.compute({name: torch.from_numpy(value).to(self._device) for name, value in inputs.items()})
        return {name: value.cpu().numpy() for name, value in outputs.items()}


class TensorStore:
    """Conditions of windows, by name (1, …), in the device's memory."""

    def __init__(self) -> None:
        self._records: list[Tensors] = []

    def append(self, record: Tensors) -> None:
        """Keep the next window's."""
        self._records.append(record)

    def close(self) -> None:
        """Let them go."""
        self._records = []

    def read(self, indexes: Sequence[int], repeat: int) -> dict[str, Tensor]:
        """Those of some windows, joined along the first axis, each `repeat` times."""
        chosen = [self._records[index] for index in indexes for _ in range(repeat)]
        return {name: torch.cat([one[name] for one in chosen]) for name in chosen[0]}

    def copy(self) -> "TensorStore":
        """The same in memory of its own."""
        copied = TensorStore()
        for record in self._records:
            copied.append({name: tensor.clone() for name, tensor in record.items()})
        return copied

    def take(self, other: "TensorStore") -> None:
        """Overwrite all with those of a store of the same sizes."""
        for own, record in zip(self._records, other._records, strict=True):
            for name, tensor in own.items():
                tensor.copy_(record[name])


class TorchPipeline(Described):
    """`omniaudio.generation.pipeline.Stages` in torch."""

    def __init__(
        self,
        description: Description,
        model: OmniAudio,
        vision: nn.Module | None,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Move a model to a device.

        Args:
            description: what a sidecar names it by.
            model: in float32.
            vision: from views of frames to features; None for a model without a vision encoder.
            device: the best one where None.
            dtype: what the transformer multiplies its matrices in: float32, bfloat16 or float16. The model's matrices
                are rounded to it; all other stages compute in float32.
        """
        super().__init__(description)
        self.device = device or best_device()
        model.to(self.device).eval().requires_grad_(False)
        if dtype != torch.float32:
            for module in model.dit.transformer.modules():
                if isinstance(module, nn.Linear):
                    module.to(dtype)
        functions = stage_functions(model, None if vision is None else vision.to(self.device).eval())
        self._sessions = {stage: TorchSession(compute, self.device) for stage, compute in functions.items()}
        self._velocity = _rounding(self._sessions[Stage.VELOCITY].compute, self.device, dtype)
        self._captured: CapturedFlow | None = None

    def session(self, stage: Stage) -> TorchSession:
        """One stage alone, of arrays or of tensors on the device."""
        return self._sessions[stage]

    def vision(self, inputs: Mapping[str, Array]) -> Tensors:
        """Views of frames, uint8 (batch, height, width, 3), to features (batch, …), both by name."""
        views = {FRAME_PREFIX + name: self._tensor(view) for name, view in inputs.items()}
        return self._sessions[Stage.VISION].compute(views)

    def conditions(self, features: Sequence[Mapping[str, Tensor | Array]]) -> Tensors:
        """Features of a window's frames, each (1, …), to its conditions (1, …)."""
        together = {
            name: torch.stack([torch.as_tensor(one[name], device=self.device) for one in features], dim=1)
            for name in features[0]
        }
        return self._sessions[Stage.CONDITIONER].compute(together)

    def condition_store(self) -> TensorStore:
        """In the device's memory."""
        return TensorStore()

    @torch.inference_mode()
    def sample(
        self,
        start: Float32,
        windows: WindowPlan,
        conditions: TensorStore,
        *,
        guidance: float,
        steps: int,
        on_rows: Callable[[int], None],
        held: Held | None = None,
        begin: float = 1.0,
    ) -> Float32:
        """Noise to latents; on CUDA, a step's velocity is one captured graph and `on_rows` is called once a step."""
        x = self._tensor(start)
        if self.device.type != "cuda":
            flow = holding(self.flow(windows, conditions, guidance, x, on_rows), x, held)
            latents = euler(flow, x, steps, begin=begin)
            return np.asarray(latents.cpu().numpy())
        if self._captured is None or not self._captured.fits(windows, len(start), guidance):
            self._captured = None  # its memory first
            self._captured = CapturedFlow(self, windows, conditions, guidance, x)
        self._captured.conditions.take(conditions)
        rows = len(windows.windows) * len(start) * halves(guidance)
        before: torch.cuda.Event | None = None

        def on_step(step: int, count: int) -> None:
            # Waits for the step before this one, so that the device never waits for a report, and a cancellation
            # comes after one more step at most.
            nonlocal before
            if before is not None:
                before.synchronize()
            before = torch.cuda.Event()
            before.record()
            on_rows(rows)

        return np.asarray(euler(holding(self._captured, x, held), x, steps, on_step, begin).cpu().numpy())

    def flow(
        self,
        windows: WindowPlan,
        conditions: TensorStore,
        guidance: float,
        like: Tensor,
        on_rows: Callable[[int], None],
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The velocity of the whole latent, as `omniaudio.generation.sampler.whole_velocity` gives it."""
        return whole_velocity(
            self._velocity,
            windows,
            conditions,
            guidance=guidance,
            drops=self.config.omniaudio.guidance_drops,
            like=like,
            on_rows=on_rows,
        )

    def decode(self, latents: Float32) -> Float32:
        """Latents (batch, channels, frames) to AmbiX sound (batch, 4, samples)."""
        return self._sessions[Stage.DECODER].run({"latents": latents})["sound"]

    def encode(self, foa: Float32) -> Float32:
        """AmbiX sound (batch, 4, samples) to latents (batch, channels, frames)."""
        return self._sessions[Stage.ENCODER].run({"sound": foa})["latents"]

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _rounding(compute: Compute, device: torch.device, dtype: torch.dtype) -> Velocity:
    """The velocity as the sampler asks for it, under autocast where `dtype` is not float32. It knows no pipeline, so
    that a captured flow that a pipeline keeps does not keep the pipeline."""

    def velocity(x: Tensor, t: Tensor, conditions: Tensors) -> Tensor:
        # A captured graph keeps no cache of rounded matrices: they are rounded once, in the constructor.
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False):
            return compute({"x": x, "t": t, **conditions})["velocity"].float()

    return velocity


class CapturedFlow:
    """The velocity of the whole latent as one CUDA graph: all windows, guidance and their blending.

    One graph a step, not one for all steps: between steps there are progress and cancellation, and two launches of ten
    microseconds cost nothing beside a step's milliseconds. It is kept for the next clip of the same length, takes and
    guidance, whose conditions are copied to where the graph reads them.
    """

    def __init__(
        self,
        pipeline: TorchPipeline,
        windows: WindowPlan,
        conditions: TensorStore,
        guidance: float,
        like: Tensor,
    ) -> None:
        self.conditions = conditions.copy()
        self._key = windows, len(like), guidance
        self._x, self._t = torch.zeros_like(like), torch.ones_like(like[:, 0, 0])
        # Kept, because the graph reads its tensors, such as the windows' weights, where they lie.
        self._flow = flow = pipeline.flow(windows, self.conditions, guidance, like, lambda rows: None)
        # Once uncaptured, on a stream of its own, so that libraries choose and allocate outside of the graph.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            flow(self._x, self._t)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._velocity = flow(self._x, self._t)

    def fits(self, windows: WindowPlan, takes: int, guidance: float) -> bool:
        """Whether it computes for this clip."""
        return self._key == (windows, takes, guidance)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The velocity of (takes, channels, frames) at (takes,); it is overwritten by the next call."""
        self._x.copy_(x)
        self._t.copy_(t)
        self._graph.replay()
        return self._velocity
