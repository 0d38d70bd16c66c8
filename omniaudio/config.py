"""A model's config: the released JSON form (stable-audio-tools' `diffusion_cond`) as pydantic models.

The section `model` is strict: unknown types and keys are refused, because ignoring them would build another model.
Other sections (training, demos) are ignored. Our optional section `omniaudio` holds what the released form leaves to
the surrounding code; its defaults describe the released model.
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from omniaudio.encoders import ENCODERS, NONE
from omniaudio.errors import ExitCode, UserError

CONFIG_NAME = "model_config.json"
WEIGHT_NAMES = ("model.safetensors", "model.ckpt")

ConditionName = Literal["global", "add"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- pretransform: sound <-> latents --------------------------------------------------------------


class OobleckEncoderConfig(_Strict):
    """The Oobleck encoder; `latent_dim` counts its raw output: mean and scale."""

    in_channels: int
    channels: int
    c_mults: tuple[int, ...]
    strides: tuple[int, ...]
    latent_dim: int
    use_snake: Literal[True]


class OobleckDecoderConfig(_Strict):
    """The Oobleck decoder, which takes `latent_dim` latent channels."""

    out_channels: int
    channels: int
    c_mults: tuple[int, ...]
    strides: tuple[int, ...]
    latent_dim: int
    use_snake: Literal[True]
    final_tanh: Literal[False]


class OobleckEncoderPart(_Strict):
    type: Literal["oobleck"]
    config: OobleckEncoderConfig


class OobleckDecoderPart(_Strict):
    type: Literal["oobleck"]
    config: OobleckDecoderConfig


class BottleneckPart(_Strict):
    type: Literal["vae"]


class AutoencoderConfig(_Strict):
    """The variational autoencoder of the released model."""

    encoder: OobleckEncoderPart
    decoder: OobleckDecoderPart
    bottleneck: BottleneckPart
    latent_dim: int
    downsampling_ratio: int
    io_channels: int

    @property
    def channels(self) -> int:
        """Latent channels that the transformer sees."""
        return self.latent_dim

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        encoder, decoder = self.encoder.config, self.decoder.config
        for name, part in (("encoder", encoder), ("decoder", decoder)):
            if len(part.c_mults) != len(part.strides):
                raise ValueError(f"the {name} has {len(part.c_mults)} c_mults but {len(part.strides)} strides")
            if math.prod(part.strides) != self.downsampling_ratio:
                raise ValueError(
                    f"the {name}'s strides do not multiply to downsampling_ratio {self.downsampling_ratio}"
                )
        if encoder.latent_dim != 2 * self.latent_dim or decoder.latent_dim != self.latent_dim:
            raise ValueError(f"latent_dim {self.latent_dim} needs an encoder of twice and a decoder of once as many")
        if encoder.in_channels != self.io_channels or decoder.out_channels != self.io_channels:
            raise ValueError(f"encoder and decoder do not have {self.io_channels} audio channels")
        return self


class AutoencoderPretransform(_Strict):
    type: Literal["autoencoder"]
    # A memory hint of the released code; it does not change the result.
    iterate_batch: bool = False
    config: AutoencoderConfig


class SpectralConfig(_Strict):
    """A single-channel codec: principal components of the log-mel spectrogram."""

    sample_rate: int
    mels: int
    fft: int
    hop: int
    frames_per_latent: int
    latent_dim: int
    griffin_lim_iterations: int

    @property
    def channels(self) -> int:
        """Latent channels that the transformer sees."""
        return self.latent_dim

    @property
    def downsampling_ratio(self) -> int:
        """Samples per latent frame."""
        return self.hop * self.frames_per_latent

    @property
    def io_channels(self) -> int:
        """Audio channels: one stem."""
        return 1


class SpectralPretransform(_Strict):
    type: Literal["spectral"]
    config: SpectralConfig


Pretransform = Annotated[AutoencoderPretransform | SpectralPretransform, Field(discriminator="type")]


# --- conditioning: features of the frames -> conditions -------------------------------------------


class VideoLinearConfig(_Strict):
    """Frame features of width `dim` to width `output_dim`."""

    dim: int
    output_dim: int


class VideoGlobalConfig(_Strict):
    """As `VideoLinearConfig`; `global_dim` sizes a projection that the released model has and never uses."""

    dim: int
    output_dim: int
    global_dim: int = 1536


class KindVectorConfig(_Strict):
    """A probability for each of `kinds`, in this order.

    The names are kept with the weights, because the weights were trained on their order.
    """

    kinds: tuple[str, ...] = Field(min_length=1)
    output_dim: int
    global_dim: int


class VideoLinearPart(_Strict):
    id: str
    type: Literal["video_linear"]
    config: VideoLinearConfig


class VideoGlobalPart(_Strict):
    id: str
    type: Literal["video_global"]
    config: VideoGlobalConfig


class KindVectorPart(_Strict):
    id: str
    type: Literal["kind_vector"]
    config: KindVectorConfig


ConditionerPart = Annotated[VideoLinearPart | VideoGlobalPart | KindVectorPart, Field(discriminator="type")]


class ConditioningConfig(_Strict):
    configs: tuple[ConditionerPart, ...]
    # Width of text conditions in the family; nothing here reads it.
    cond_dim: int = 0


# --- diffusion: the transformer and its conditions ------------------------------------------------


class DiTConfig(_Strict):
    """The family's diffusion transformer.

    `patch_size` latent frames make one token. `global_cond_type` says how timestep and global condition enter: as one
    prepended token, or as scale, shift and gate of every block (adaLN). `cond_token_dim` sizes cross-attention weights
    that are kept and never computed; 0 leaves them out.
    """

    io_channels: int
    embed_dim: int
    depth: int
    num_heads: int
    patch_size: int = 1
    cond_token_dim: int = 0
    project_cond_tokens: bool = True
    global_cond_dim: int = 0
    global_cond_type: Literal["prepend", "adaLN"] = "prepend"
    transformer_type: Literal["continuous_transformer"]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}")
        return self


class DiffusionConfig(_Strict):
    """The transformer and, by their ids, the conditioners that feed it.

    `global_cond_ids` are summed into the timestep embedding, `add_cond_ids` is added to the tokens.
    """

    type: Literal["dit"]
    diffusion_objective: Literal["rectified_flow"]
    global_cond_ids: tuple[str, ...] = ()
    # The family joins several along time, which no released model does.
    add_cond_ids: tuple[str, ...] = Field(default=(), max_length=1)
    config: DiTConfig


class ModelParts(_Strict):
    pretransform: Pretransform
    conditioning: ConditioningConfig
    diffusion: DiffusionConfig
    io_channels: int

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        channels = self.pretransform.config.channels
        if not channels == self.io_channels == self.diffusion.config.io_channels:
            raise ValueError(
                f"pretransform, io_channels and diffusion differ in latent channels: {channels}, {self.io_channels}, "
                f"{self.diffusion.config.io_channels}"
            )
        known = {part.id for part in self.conditioning.configs}
        diffusion = self.diffusion
        for wanted in (*diffusion.global_cond_ids, *diffusion.add_cond_ids):
            if wanted not in known:
                raise ValueError(f"diffusion asks for the condition {wanted!r}, which conditioning does not have")
        return self


# --- what the released form leaves to the code around it ------------------------------------------


class Vision(_Strict):
    """Which vision encoder the model was trained with (`omniaudio.encoders`), or `none`."""

    type: str = "metaclip"

    @field_validator("type")
    @classmethod
    def _is_known(cls, name: str) -> str:
        known = (*ENCODERS, NONE)
        if name not in known:
            raise ValueError(f"there is no vision encoder {name!r}: it is one of {', '.join(map(repr, known))}")
        return name


class Generation(_Strict):
    """How a model is used; the defaults are the released model's."""

    # The transformer's output: the velocity noise − z, or the deviation of the data z from the best estimate of a
    # Gaussian with its mean and variance (`omniaudio.model.gaussian_skip`).
    prediction: Literal["velocity", "beyond_gaussian"] = "velocity"
    # Conditions that are zero in the unconditional half of classifier-free guidance.
    guidance_drops: tuple[ConditionName, ...] = ("add",)
    vision: Vision = Vision()
    # Frames per second for the vision encoder, or given features per second.
    frame_rate: float = Field(default=8.0, gt=0)
    steps: int = Field(default=24, ge=1)
    guidance: float = 3.0
    # The start of sampling for a model with exemplars: 0 is the exemplar itself, 1 is noise.
    variation: float = Field(default=1.0, ge=0, le=1)


class ModelConfig(BaseModel):
    """The whole config, as `model_config.json` holds it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model_type: Literal["diffusion_cond"]
    sample_size: int = Field(gt=0)
    sample_rate: int = Field(gt=0)
    audio_channels: Literal[1, 4]
    model: ModelParts
    omniaudio: Generation = Generation()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        channels = self.model.pretransform.config.io_channels
        if channels != self.audio_channels:
            raise ValueError(f"audio_channels is {self.audio_channels}, but the pretransform has {channels}")
        return self

    @property
    def sees(self) -> bool:
        """Whether the model takes frames; else its features are given."""
        return self.omniaudio.vision.type != NONE

    @property
    def samples_per_latent(self) -> int:
        """Samples of sound per latent frame."""
        return self.model.pretransform.config.downsampling_ratio

    @property
    def latent_channels(self) -> int:
        """Channels of a latent frame."""
        return self.model.io_channels

    @property
    def latent_frames(self) -> int:
        """Latent frames of the model's native length, in whole tokens."""
        patch = self.model.diffusion.config.patch_size
        return self.sample_size // (self.samples_per_latent * patch) * patch

    @property
    def duration(self) -> float:
        """The model's native length in seconds."""
        return self.sample_size / self.sample_rate


def parse_config(data: Any, name: str) -> ModelConfig:
    """Make a `ModelConfig` from parsed JSON; `name` names it in the message of a `UserError`."""
    try:
        return ModelConfig.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UserError(f"{name} does not describe a supported model: {faults}.", ExitCode.NO_MODEL) from error


def load_config(path: Path) -> ModelConfig:
    """Read a config from a JSON file, or from `model_config.json` in a folder.

    Raises:
        UserError: it is missing, is not JSON, or describes an unsupported model.
    """
    file = path / CONFIG_NAME if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"There is no readable model config at {file}.", ExitCode.NO_MODEL) from error
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}).", ExitCode.NO_MODEL) from error
    return parse_config(data, str(file))
