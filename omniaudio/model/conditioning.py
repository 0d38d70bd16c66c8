"""From frame features to conditions: the two branches of the released model (arXiv 2504.14906, section 3.3).

A conditioner takes all features and the number of latent frames, and offers conditions by name; the config's
`global_cond_ids` and `add_cond_ids` choose among the offers.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor, nn

from omniaudio.config import VideoGlobalConfig, VideoLinearConfig


class VideoLinear(nn.Module):
    """Frame features through one linear. `proj_out` is in the checkpoint, and is never used."""

    def __init__(self, config: VideoLinearConfig | VideoGlobalConfig, name: str) -> None:
        super().__init__()
        self.name = name
        if config.dim != config.output_dim:
            self.proj_out = nn.Linear(config.dim, config.output_dim)
        self.embedder = nn.Sequential(nn.Linear(config.dim, config.output_dim))

    def forward(self, features: Mapping[str, Tensor], latent_frames: int) -> dict[str, Tensor]:
        """Offers its frames, (batch, frames, output dim), as `global` and as `add`."""
        frames = self.embedder(features[self.name])
        return {"global": frames, "add": frames}


class VideoGlobal(VideoLinear):
    """As `VideoLinear`; `global_proj` is in the checkpoint, and is never used."""

    def __init__(self, config: VideoGlobalConfig, name: str) -> None:
        super().__init__(config, name)
        self.global_proj = nn.Sequential(nn.Linear(config.output_dim, config.global_dim))


@lru_cache(maxsize=16)
def _spline_weights(frames: int, tokens: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    knots = np.arange(frames, dtype=np.float64)
    spline = CubicSpline(knots, np.eye(frames), bc_type="natural")
    weights: np.ndarray[tuple[int, int], np.dtype[np.float32]] = spline(np.linspace(0, frames - 1, tokens))
    return weights.astype(np.float32)


def resample(frames: Tensor, tokens: int) -> Tensor:
    """Natural cubic spline from the video's frames to tokens, first on first and last on last.

    The spline is linear in its values, so it is one product with a matrix that depends on the two lengths alone.

    Args:
        frames: (batch, frames, dim); a single frame is held.
        tokens: how many to make.

    Returns:
        (batch, tokens, dim)
    """
    count = frames.shape[1]
    if count == tokens:
        return frames
    if count == 1:
        return frames.expand(-1, tokens, -1)
    return torch.from_numpy(_spline_weights(count, tokens)).to(frames) @ frames
