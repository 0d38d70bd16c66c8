"""The first thing the draft learns: which patches of a panorama show something that sounds."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from omniaudio.model.pointer import CLASS_COMPONENTS, FEATURE_COMPONENTS, TOKEN, Detections, PanoramaPointer

BATCH = 32
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
NOISE = 0.25  # of a component's deviation, against learning single pictures by heart
REPORT_EVERY = 50  # steps
COVERED = 0.3  # an edge patch counts as background or as thing only when clearly so


@dataclass
class Views:
    """Rendered frames as vision sees them, and what was hung in them."""

    patches: Tensor  # (frames, patches, dim), any float type
    directions: Tensor  # (frames, things, 3)
    sizes: Tensor  # (frames, things), radians; 0 where there is no such thing


def targets(pointer: PanoramaPointer, views: Views) -> tuple[Tensor, Tensor]:
    """Per patch: 1 inside a thing, 0 outside, and the weight with which that counts, (frames, patches) each."""
    angle = torch.arccos((views.directions @ pointer.directions.T).clamp(-1, 1))  # (frames, things, patches)
    relative = angle / (views.sizes[..., None] / 2).clamp(min=1e-6)
    nearest = relative.amin(1)
    # the patch nearest to a thing shows it, however small it is
    closest = angle == angle.amin(2, keepdim=True)
    core = (nearest < 0.6) | (closest & (views.sizes[..., None] > 0)).any(1)
    border = (nearest < 1.2) & ~core
    return core.float(), torch.where(border, COVERED, 1.0)


@torch.no_grad()
def fit_components(pointer: PanoramaPointer, views: Views, things: Tensor) -> None:
    """Principal components of patches for the scorer, and of the things' features (n, dim) for their description."""
    sample = views.patches.flatten(0, 1)
    sample = sample[torch.randperm(len(sample), generator=torch.Generator().manual_seed(0))[:20_000]].float()
    pointer.feature_mean.copy_(sample.mean(0))
    _, spread, axes = torch.pca_lowrank(sample, q=TOKEN, niter=4)
    pointer.project.weight.copy_(axes.T / spread[0] * len(sample) ** 0.5)
    _standardise(pointer.feature_components, things - pointer.feature_mean, FEATURE_COMPONENTS)
    classes = torch.log_softmax(pointer.imagenet(things), dim=-1)
    pointer.class_mean.copy_(classes.mean(0))
    _standardise(pointer.class_components, classes - pointer.class_mean, CLASS_COMPONENTS)


def _standardise(components: Tensor, values: Tensor, count: int) -> None:
    """Components of the values, scaled so that all have unit variance: what tells kinds apart is seldom what varies
    most."""
    _, spread, axes = torch.pca_lowrank(values, q=count, center=True, niter=4)
    components.copy_((axes / spread).T * len(values) ** 0.5)


def train(pointer: PanoramaPointer, views: Views, steps: int, seed: int, report: Callable[[int, float], None]) -> None:
    """Trains the scorer, on fixed components, by weighted binary cross-entropy."""
    wanted, weight = targets(pointer, views)
    # things are small: together they weigh half of what is around them
    rarity = 0.5 * (1 - wanted).sum() / wanted.sum().clamp(min=1)
    weight = weight * torch.where(wanted > 0, rarity, 1.0)
    with torch.no_grad():
        tokens = torch.cat([pointer.tokens(part.float()) for part in torch.split(views.patches, BATCH)])
    noise = NOISE * tokens.std((0, 1))
    optimiser = torch.optim.AdamW(pointer.score.parameters(), LEARNING_RATE, (0.9, 0.98), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        rows = torch.randint(len(tokens), (BATCH,), generator=generator)
        seen = tokens[rows] + noise * torch.randn(BATCH, *tokens.shape[1:], generator=generator)
        loss = F.binary_cross_entropy_with_logits(pointer.score_tokens(seen), wanted[rows], weight[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % REPORT_EVERY == 0 or step == steps - 1:
            report(step, float(loss.detach()))


@torch.no_grad()
def detect_all(pointer: PanoramaPointer, views: Views) -> Detections:
    """Detections of every frame, batch axis = frame, frames axis = 1."""
    parts = [
        pointer.detect(views.patches[first : first + BATCH].float()[:, None])
        for first in range(0, len(views.patches), BATCH)
    ]
    return Detections(*(torch.cat(column) for column in zip(*parts, strict=True)))
