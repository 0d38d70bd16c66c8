"""The paper's two stages (section 3.4): masked flow matching without frames, coarse to fine, then with frames."""

import copy
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from omniaudio.model.omniaudio import OmniAudio
from omniaudio.training.masking import span_mask

REPORT_EVERY = 50
SAVE_EVERY = 250  # steps


@dataclass(frozen=True)
class Stage:
    """One stage of training. Learning rate: linear warm-up, flat, linear to zero over the last `decay` of the steps."""

    name: str
    steps: int
    batch: int
    everything: float  # probability that all frames are masked
    dropout: float = 0.0  # probability that a clip's conditions are dropped, for guidance
    learning_rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.4
    average: float = 0.999  # decay of the moving average of the weights
    time_mean: float = 1.2  # times are sigmoid(N(mean, 1)): logit-normal, towards noise, where the kind is decided
    min_time: float = 0.5  # caps the weight 1/t² that x-prediction gives to nearly clean latents
    half: bool = False  # bfloat16 products: several times faster on processors with AMX, slower on others

    def rate(self, step: int) -> float:
        """The learning rate at a step, relative to the stage's."""
        left = (self.steps - step) / max(self.steps * self.decay, 1)
        return max(min(1.0, (step + 1) / self.warm_up, left), 0.0)


Batch = tuple[Tensor, Mapping[str, Tensor]]
"""Clean latents (batch, channels, frames) and the conditions of `OmniAudio.velocity`, still with gradients."""


def flow_loss(model: OmniAudio, batch: Batch, stage: Stage, generator: torch.Generator) -> Tensor:
    """Flow matching loss on the masked frames: x_t = (1−t)·z + t·noise there, the given sound elsewhere."""
    z, conditions = batch
    t = torch.sigmoid(stage.time_mean + torch.randn(len(z), generator=generator))
    noise = torch.randn(z.shape, generator=generator)
    mask = span_mask(len(z), z.shape[2], stage.everything, generator)
    spread = t[:, None, None]
    x = torch.where(mask > 0, (1 - spread) * z + spread * noise, z)
    kept = (torch.rand(len(z), generator=generator) >= stage.dropout).float()
    drops = model.config.omniaudio.guidance_drops
    given = {
        name: value * kept.reshape(-1, *[1] * (value.ndim - 1)) if name in drops else value
        for name, value in conditions.items()
    }
    velocity = model.velocity(x, t, given)
    # The velocity's error is the data's divided by t; near t = 0 it would dominate the loss.
    error = (velocity - (noise - z)) * mask * (spread / spread.clamp(min=stage.min_time))
    return error.square().sum() / (mask.sum() * z.shape[1])


class Trainer:
    """Trains the transformer and the conditioners in one stage; resumes exactly from its checkpoint."""

    def __init__(self, model: OmniAudio, stage: Stage, checkpoint: Path, seed: int) -> None:
        self.model = model
        self.stage = stage
        self.checkpoint = checkpoint
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters, stage.learning_rate, (0.9, 0.98), weight_decay=1e-3, fused=True
        )
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.generator = torch.Generator().manual_seed(seed)
        self.step = 0
        if checkpoint.exists():
            self._resume()

    def run(self, next_batch: Callable[[int], Batch], report: Callable[[int, float, float], None]) -> nn.Module:
        """Train to the end of the stage and return the moving average of the model.

        Args:
            next_batch: makes the batch of a step.
            report: called every 50 steps with the step, the mean loss and the steps per second.
        """
        losses: list[float] = []
        began = time.monotonic()
        while self.step < self.stage.steps:
            for group in self.optimiser.param_groups:
                group["lr"] = self.stage.learning_rate * self.stage.rate(self.step)
            self.optimiser.zero_grad()
            # Attention over few tokens is fastest as plain products, which autocast to bfloat16, too.
            plain = sdpa_kernel(SDPBackend.MATH) if self.stage.half else nullcontext()
            with plain, torch.autocast("cpu", torch.bfloat16, enabled=self.stage.half):
                loss = flow_loss(self.model, next_batch(self.step), self.stage, self.generator)
                loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimiser.step()
            self._follow()
            self.step += 1
            losses.append(float(loss.detach()))
            if self.step % REPORT_EVERY == 0:
                report(self.step, sum(losses) / len(losses), len(losses) / (time.monotonic() - began))
                losses, began = [], time.monotonic()
            if self.step % SAVE_EVERY == 0 or self.step == self.stage.steps:
                self._save()
        return self.average

    @torch.no_grad()
    def _follow(self) -> None:
        """Update the moving average; its window is short during the first steps."""
        share = min(self.stage.average, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - share)

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.step = state["step"]
