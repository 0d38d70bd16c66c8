"""The draft's eye for sound: which patches of the panorama sound, where they lie, and what they and the place are.

With few pictures to learn from, attention does not find directions by itself; a pointer that is told where the thing
is finds them within minutes. It scores every patch; the best one and its surroundings make a detection; what is near it
is suppressed, and the next is looked for. All that follows sums over detections, so their order does not matter.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omniaudio.config import PanoramaPointerConfig
from omniaudio.model.efficientnet import CLASSES

TOKEN = 192  # principal components of a patch that the scorer sees
SCORER = 128  # its width
FEATURE_COMPONENTS = 96  # of a thing's vision features
CLASS_COMPONENTS = 48  # of its ImageNet log-probabilities
NEIGHBOURHOOD = math.cos(math.radians(35))  # patches that share in a detection
SUPPRESSION = math.cos(math.radians(50))  # patches that belong to it, and make no second one
FAR = 30.0  # logits
# A thing is present from this score on. Where nothing else stands out a faint one counts; a second thing has to be
# sure, because the background of a single thing scores a little too.
PRESENT_AT, MORE_AT = 0.0, 2.5
PRESENCE_SLOPE = 2.0
GLOBAL_SCALE, PLACED_SCALE = 0.3, 0.1  # deviations of first weights
PRESENCE_FLOOR = 1e-3


class Detections(NamedTuple):
    """What the pointer found in each frame; `n` detections, by falling presence."""

    direction: Tensor  # (batch, frames, n, 3), unit vectors x, y, z
    presence: Tensor  # (batch, frames, n), 0 to 1
    feature: Tensor  # (batch, frames, n, dim), of the patches pointed at; described: (…, 144)
    surroundings: Tensor  # (batch, frames, dim), mean over the sphere; described: (…, 144)


def patch_grid(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Unit vectors (rows · columns, 3) of the patches' centres, row by row from the top left, and the share of the
    sphere that each covers (rows · columns,)."""
    elevation = (0.5 - (torch.arange(rows) + 0.5) / rows) * math.pi
    azimuth = (0.5 - (torch.arange(columns) + 0.5) / columns) * 2 * math.pi
    elevation, azimuth = (x.flatten() for x in torch.meshgrid(elevation, azimuth, indexing="ij"))
    vectors = [elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()]
    return torch.stack(vectors, dim=1), elevation.cos() / elevation.cos().sum()


@lru_cache(maxsize=16)
def frame_weights(
    frames: int, latents: int, frames_per_latent: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(latents, frames): linear interpolation from frames at k / frame rate to the middles of latent frames; beyond the
    last frame the motion goes on as it was."""
    at = (np.arange(latents) + 0.5) * frames_per_latent
    if frames == 1:
        return np.ones((latents, 1), np.float32)
    before = np.clip(np.floor(at).astype(int), 0, frames - 2)
    after = np.minimum(at, frames - 0.5) - before
    weights = np.zeros((latents, frames), np.float32)
    weights[np.arange(latents), before] = 1 - after
    weights[np.arange(latents), before + 1] = after
    return weights


def _encoder(described: int, width: int) -> nn.Sequential:
    """The norm at its end gives the condition its strength from the first step on; without it, it takes thousands."""
    return nn.Sequential(nn.Linear(described, width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width))


class PanoramaPointer(nn.Module):
    """Patch features `panorama` (batch, frames, rows · columns, dim) → `global` (batch, global_dim), `add` (batch,
    latent frames, output_dim) and `base` (batch, latent channels, latent frames)."""

    feature_mean: Tensor
    feature_components: Tensor
    class_mean: Tensor
    class_components: Tensor
    directions: Tensor
    shares: Tensor
    heights: Tensor

    def __init__(self, config: PanoramaPointerConfig, name: str) -> None:
        super().__init__()
        self.config = config
        self.name = name
        self.project = nn.Linear(config.dim, TOKEN, bias=False)
        self.score = nn.Sequential(
            nn.Linear(2 * TOKEN + 2, SCORER), nn.SiLU(), nn.Linear(SCORER, SCORER), nn.SiLU(), nn.Linear(SCORER, 1)
        )
        self.imagenet = nn.Linear(config.dim, CLASSES)
        self.register_buffer("feature_mean", torch.zeros(config.dim))
        self.register_buffer("feature_components", torch.zeros(FEATURE_COMPONENTS, config.dim))
        self.register_buffer("class_mean", torch.zeros(CLASSES))
        self.register_buffer("class_components", torch.zeros(CLASS_COMPONENTS, CLASSES))
        described, width = FEATURE_COMPONENTS + CLASS_COMPONENTS, config.output_dim
        self.thing = _encoder(described, width)
        self.place = _encoder(described, width)
        self.thing_to_global = nn.Linear(width, config.global_dim, bias=False)
        self.place_to_global = nn.Linear(width, config.global_dim, bias=False)
        place_to_tokens = nn.Linear(width, width, bias=False)
        self.placed = nn.Sequential(nn.Linear(width + 3, width), nn.SiLU(), place_to_tokens)
        # The condition has to be as strong as the timestep's embedding, or the transformer takes thousands of steps to
        # notice it.
        for strong in (self.thing_to_global, self.place_to_global):
            nn.init.normal_(strong.weight, std=GLOBAL_SCALE)
        nn.init.normal_(place_to_tokens.weight, std=PLACED_SCALE)
        with torch.device("cpu"):  # constants, real also where the weights are still to come (device meta)
            directions, shares = patch_grid(config.rows, config.columns)
            self.register_buffer("directions", directions, persistent=False)
            self.register_buffer("shares", shares, persistent=False)
            height = directions[:, 2]
            self.register_buffer("heights", torch.stack([height, height.square()], dim=1), persistent=False)

    def forward(self, features: Mapping[str, Tensor], latent_frames: int) -> dict[str, Tensor]:
        return self.tell(self.describe(self.detect(features[self.name])), latent_frames)

    # --- where -------------------------------------------------------------------------------------------------------

    def scores(self, patches: Tensor) -> Tensor:
        """Logits (batch, frames, patches) that a patch shows something that sounds."""
        return self.score_tokens(self.tokens(patches))

    def tokens(self, patches: Tensor) -> Tensor:
        """Principal components of patch features, (…, dim) → (…, TOKEN)."""
        tokens: Tensor = self.project(patches - self.feature_mean)
        return tokens

    def score_tokens(self, tokens: Tensor) -> Tensor:
        """Each patch is compared with the mean of its frame: what sounds stands out."""
        mean = (tokens * self.shares[:, None]).sum(-2, keepdim=True).expand_as(tokens)
        heights = self.heights.expand(*tokens.shape[:-1], 2)
        scores: Tensor = self.score(torch.cat([tokens, mean, heights], dim=-1)).squeeze(-1)
        return scores

    def detect(self, patches: Tensor) -> Detections:
        """Points at up to `sources` things in every frame."""
        scores = self.scores(patches)
        directions, presences, features = [], [], []
        for number in range(self.config.sources):
            best, where = scores.max(dim=-1)
            closeness = self.directions[where] @ self.directions.T  # (batch, frames, patches)
            local = torch.softmax(scores - FAR * (closeness < NEIGHBOURHOOD), dim=-1)
            directions.append(F.normalize(local @ self.directions, dim=-1))
            features.append((local[..., None, :] @ patches).squeeze(-2))
            presences.append(torch.sigmoid(PRESENCE_SLOPE * (best - (MORE_AT if number else PRESENT_AT))))
            scores = scores - FAR * (closeness > SUPPRESSION)
        surroundings = (patches * self.shares[:, None]).sum(-2)
        return Detections(
            torch.stack(directions, dim=2), torch.stack(presences, dim=2), torch.stack(features, dim=2), surroundings
        )

    # --- what --------------------------------------------------------------------------------------------------------

    def describe(self, found: Detections) -> Detections:
        """The same detections, with 144 numbers for each vision feature: principal components of the feature, and of
        its ImageNet log-probabilities."""
        return found._replace(
            feature=self._components(found.feature), surroundings=self._components(found.surroundings)
        )

    def _components(self, feature: Tensor) -> Tensor:
        classes = torch.log_softmax(self.imagenet(feature), dim=-1) - self.class_mean
        own = feature - self.feature_mean
        return torch.cat([own @ self.feature_components.T, classes @ self.class_components.T], dim=-1)

    def tell(self, found: Detections, latent_frames: int) -> dict[str, Tensor]:
        """Described detections → conditions; see the class."""
        frames_per_latent = self.config.frame_rate / self.config.latent_rate
        weights = frame_weights(found.presence.shape[1], latent_frames, frames_per_latent)
        in_time = torch.from_numpy(weights).to(found.presence)
        things = self.thing(found.feature)
        presence = found.presence[..., None]
        kinds = (self.thing_to_global(things) * presence).sum(2).mean(1)
        place = self.place_to_global(self.place(found.surroundings)).mean(1)
        placed = (self.placed(torch.cat([things, found.direction], dim=-1)) * presence).sum(2)
        return {"global": kinds + place, "add": in_time @ placed, "base": self._base(found, in_time)}

    def _base(self, found: Detections, in_time: Tensor) -> Tensor:
        """The direction that the prediction starts from: that of the most present, shorter the less present it is."""
        share = found.presence.square()
        total = share.sum(-1, keepdim=True)
        vector = (found.direction * share[..., None]).sum(2) / (total + PRESENCE_FLOOR)
        vector = in_time @ (vector * found.presence.amax(-1, keepdim=True))
        length = vector.square().sum(-1, keepdim=True).sqrt()
        vector = (vector / length.clamp(min=1.0)).transpose(1, 2)
        silent = vector.new_zeros(vector.shape[0], self.config.sound_channels, vector.shape[2])
        return torch.cat([silent, vector.repeat(1, self.config.direction_bands, 1)], dim=1)
