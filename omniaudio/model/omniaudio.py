"""The whole model: autoencoder, conditioners and transformer, built from a config that names the type of each part."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from omniaudio.config import ModelConfig
from omniaudio.model.conditioning import resample
from omniaudio.model.dit import Conditions, DiffusionTransformer
from omniaudio.model.gaussian_skip import GaussianSkip

# The modules of the parts, imported on demand, so that a model imports only its own parts.
PRETRANSFORMS = {
    "autoencoder": "omniaudio.model.vae:Autoencoder",
    "spectral": "omniaudio.model.spectral:SpectralCodec",
}
CONDITIONERS = {
    "video_linear": "omniaudio.model.conditioning:VideoLinear",
    "video_global": "omniaudio.model.conditioning:VideoGlobal",
    "kind_vector": "omniaudio.model.kinds:KindVector",
}


def _part(where: str, *arguments: Any) -> nn.Module:
    module, name = where.split(":")
    part: nn.Module = getattr(import_module(module), name)(*arguments)
    return part


class OmniAudio(nn.Module):
    """Maps features of 360° frames to first-order ambisonics, or the kind of a source to its mono stem.

    A pretransform has `encode` and `decode`. A conditioner is made of its config and its id and maps
    (features, latent frames) to the conditions it offers. Buffers of a part are persistent or made on the CPU whatever
    the device, so that a model built without memory (device `meta`) is complete once its checkpoint is loaded.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        parts = config.model
        self.pretransform = _part(PRETRANSFORMS[parts.pretransform.type], parts.pretransform.config)
        self.conditioners = nn.ModuleDict(
            {part.id: _part(CONDITIONERS[part.type], part.config, part.id) for part in parts.conditioning.configs}
        )
        self.dit = DiffusionTransformer(parts.diffusion.config)
        self.skip: GaussianSkip | None = None
        if config.omniaudio.prediction == "beyond_gaussian":
            self.skip = GaussianSkip(config.latent_channels)
            nn.init.zeros_(self.dit.transformer.project_out.weight)

    def conditions(self, features: Mapping[str, Tensor], latent_frames: int) -> dict[str, Tensor]:
        """Compute the transformer's conditions for one window.

        Args:
            features: the vision encoder's features by name, each (batch, frames, …).
            latent_frames: latent frames of the window, a multiple of the patch size.

        Returns:
            Those of `global` (batch, width) and `add` (batch, tokens, width) that the config asks for.
        """
        offers = {name: conditioner(features, latent_frames) for name, conditioner in self.conditioners.items()}
        chosen = self.config.model.diffusion
        conditions: dict[str, Tensor] = {}
        if chosen.global_cond_ids:
            first, *others = (offers[name]["global"] for name in chosen.global_cond_ids)
            conditions["global"] = self.dit.embed_global(sum(others, start=first))
        for name in chosen.add_cond_ids:
            conditions["add"] = resample(offers[name]["add"], latent_frames // self.dit.patch_size)
        return conditions

    def velocity(self, x: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """Predict the flow's velocity noise − z at `x`.

        Args:
            x: noisy latents, (batch, channels, frames).
            t: (batch,), in (0, 1].
            conditions: as `conditions` gives them.
        """
        prediction: Tensor = self.dit(x, t, conditions)
        if self.skip is None:
            return prediction
        data: Tensor = self.skip(x, t, prediction)
        # x = (1−t)·z + t·noise, so noise − z = (x − z) / t.
        return (x - data) / t[:, None, None]

    def encode(self, sound: Tensor) -> Tensor:
        """Encode sound (batch, audio channels, samples), AmbiX if four channels, to latents (batch, channels,
        frames)."""
        latents: Tensor = self.pretransform.encode(sound)  # type: ignore[operator]
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents (batch, channels, frames) to sound (batch, audio channels, frames × samples per latent)."""
        sound: Tensor = self.pretransform.decode(latents)  # type: ignore[operator]
        return sound
