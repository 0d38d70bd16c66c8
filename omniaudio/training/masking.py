"""Masked flow matching: the model fills in spans of a sound, given the rest (paper, section 3.4)."""

import torch
from torch import Tensor

SPAN = 10  # latent frames, 0.46 s
MIN_FRACTION = 0.7  # of one span start per 10 frames


def span_mask(batch: int, frames: int, everything: float, generator: torch.Generator) -> Tensor:
    """Draw a mask (batch, 1, frames): 1 where the model has to fill in.

    With probability `everything`, all frames are masked. Otherwise a fraction drawn from U(0.7, 1) sets how many spans
    of 10 frames start at random places; they may overlap, and mask about 58 % of 215 frames.
    """
    mask = torch.zeros(batch, frames)
    for row in mask:
        if torch.rand((), generator=generator) < everything:
            row.fill_(1)
            continue
        fraction = MIN_FRACTION + (1 - MIN_FRACTION) * torch.rand((), generator=generator)
        starts = torch.randint(0, max(frames - SPAN, 0) + 1, (int(fraction * frames / SPAN),), generator=generator)
        for start in starts.tolist():
            row[start : start + SPAN] = 1
    return mask[:, None]
