"""The diffusion transformer (DiT) of the stable-audio family, as OmniAudio uses it (arXiv 2504.14906, section 3.3).

Module names follow the released checkpoint. Tokens are groups of `patch_size` latent frames; the timestep and the
global condition enter as one prepended token or as adaLN of every block; the `add` condition is added to the tokens.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from omniaudio.config import DiTConfig

Conditions = Mapping[str, Tensor]

TIMESTEP_FEATURES = 256
FEED_FORWARD_MULTIPLIER = 4
ROTARY_BASE = 10_000.0
MINIMUM_ROTARY_DIM = 32


class FourierFeatures(nn.Module):
    """Embeds a number as cosines and sines of learned frequencies."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features // 2, 1))

    def forward(self, t: Tensor) -> Tensor:
        """(batch,) -> (batch, features)."""
        # An elementwise product: in a matrix product, autocast would round the phase to 8 bits.
        phase = 2 * math.pi * t[:, None] * self.weight[:, 0]
        return torch.cat((phase.cos(), phase.sin()), dim=-1)


class BiasFreeLayerNorm(nn.Module):
    """Layer norm with a learned scale; its shift is a fixed buffer, as in the checkpoint."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))
        self.beta: Tensor
        self.register_buffer("beta", torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta)


class RotaryEmbedding(nn.Module):
    """Rotary position embedding (arXiv 2104.09864) for the first `dim` of each head's dimensions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inv_freq: Tensor
        self.register_buffer("inv_freq", ROTARY_BASE ** -(torch.arange(0, dim, 2).float() / dim))

    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of `length` positions, each (length, dim)."""
        positions = torch.arange(length, device=self.inv_freq.device, dtype=torch.float32)
        angles = positions[:, None] * self.inv_freq.float()
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the leading dimensions of every head (batch, heads, length, head dim) by its position, in float32."""
    cos, sin = rotary
    rotated, rest = x[..., : cos.shape[-1]].float(), x[..., cos.shape[-1] :]
    first, second = rotated.chunk(2, dim=-1)
    rotated = rotated * cos + torch.cat((-second, first), dim=-1) * sin
    return torch.cat((rotated.to(x.dtype), rest), dim=-1)


class SelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions; its output starts at zero."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        nn.init.zeros_(self.to_out.weight)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """(batch, length, dim) -> the same."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(x).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(rotate(q, rotary), rotate(k, rotary), v)
        out: Tensor = self.to_out(attended.transpose(1, 2).flatten(2))
        return out


class UnusedCrossAttention(nn.Module):
    """Cross-attention weights that the checkpoint contains but its config does not use: kept, never computed."""

    def __init__(self, dim: int, context_dim: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * context_dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)


class GatedLinear(nn.Module):
    """SwiGLU's first half (arXiv 2002.05202): the second half of the projection is the gate."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.proj(x)
        value, gate = projected.chunk(2, dim=-1)
        return value * F.silu(gate)


class FeedForward(nn.Module):
    """SwiGLU; its output starts at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = FEED_FORWARD_MULTIPLIER * dim
        out = nn.Linear(inner, dim)
        nn.init.zeros_(out.weight)
        nn.init.zeros_(out.bias)
        # The checkpoint's numbering skips the middle index.
        self.ff = nn.Sequential(GatedLinear(dim, inner), nn.Identity(), out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.ff(x)
        return out


class TransformerBlock(nn.Module):
    """Self-attention and feed-forward, each a residual; with adaLN, modulated by an embedding of timestep and global.

    The modulation is the family's: scale, shift and gate from SiLU and one bias-free linear that starts at zero, the
    gate as sigmoid(1 − g).
    """

    def __init__(self, config: DiTConfig, context_dim: int) -> None:
        super().__init__()
        dim = config.embed_dim
        self.pre_norm = BiasFreeLayerNorm(dim)
        self.self_attn = SelfAttention(dim, config.num_heads)
        if context_dim:
            self.cross_attend_norm = BiasFreeLayerNorm(dim)
            self.cross_attn = UnusedCrossAttention(dim, context_dim)
        self.ff_norm = BiasFreeLayerNorm(dim)
        self.ff = FeedForward(dim)
        self.to_scale_shift_gate: nn.Sequential | None = None
        if config.global_cond_type == "adaLN":
            modulation = nn.Linear(dim, 6 * dim, bias=False)
            nn.init.zeros_(modulation.weight)
            self.to_scale_shift_gate = nn.Sequential(nn.SiLU(), modulation)

    def forward(self, x: Tensor, embedding: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """x (batch, length, dim), embedding (batch, dim) -> (batch, length, dim)."""
        branch: Tensor
        if self.to_scale_shift_gate is None:
            branch = self.self_attn(self.pre_norm(x), rotary)
            x = x + branch
            branch = self.ff(self.ff_norm(x))
            return x + branch
        modulation: Tensor = self.to_scale_shift_gate(embedding)[:, None]
        scale, shift, gate, ff_scale, ff_shift, ff_gate = modulation.chunk(6, dim=-1)
        branch = self.self_attn(self.pre_norm(x) * (1 + scale) + shift, rotary)
        x = x + branch * torch.sigmoid(1 - gate)
        branch = self.ff(self.ff_norm(x) * (1 + ff_scale) + ff_shift)
        return x + branch * torch.sigmoid(1 - ff_gate)


class ContinuousTransformer(nn.Module):
    """Blocks between two projections."""

    def __init__(self, config: DiTConfig, context_dim: int) -> None:
        super().__init__()
        dim, token_dim = config.embed_dim, config.io_channels * config.patch_size
        self.prepends = config.global_cond_type == "prepend"
        self.project_in = nn.Linear(token_dim, dim, bias=False)
        self.rotary_pos_emb = RotaryEmbedding(max(dim // config.num_heads // 2, MINIMUM_ROTARY_DIM))
        self.layers = nn.ModuleList(TransformerBlock(config, context_dim) for _ in range(config.depth))
        self.project_out = nn.Linear(dim, token_dim, bias=False)

    def forward(self, tokens: Tensor, embedding: Tensor, add: Tensor | None) -> Tensor:
        """Tokens (batch, tokens, token dim), embedding (batch, dim), add (batch, tokens, dim) -> as the tokens."""
        x = self.project_in(tokens)
        if add is not None:
            x = x + add
        if self.prepends:
            x = torch.cat((embedding[:, None], x), dim=1)
        rotary = self.rotary_pos_emb(x.shape[1])
        for layer in self.layers:
            x = layer(x, embedding, rotary)
        if self.prepends:
            x = x[:, 1:]
        out: Tensor = self.project_out(x)
        return out


def _mlp(dim_in: int, dim: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim_in, dim, bias=bias), nn.SiLU(), nn.Linear(dim, dim, bias=bias))


class DiffusionTransformer(nn.Module):
    """Predicts the velocity (or the data) of noisy latents."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.channels = config.io_channels
        self.patch_size = config.patch_size
        self.timestep_features = FourierFeatures(TIMESTEP_FEATURES)
        self.to_timestep_embed = _mlp(TIMESTEP_FEATURES, config.embed_dim, bias=True)
        context_dim = config.cond_token_dim
        if context_dim:
            if config.project_cond_tokens:
                context_dim = config.embed_dim
            # Belongs to the unused cross-attention.
            self.to_cond_embed = _mlp(config.cond_token_dim, context_dim, bias=False)
        if config.global_cond_dim:
            self.to_global_embed = _mlp(config.global_cond_dim, config.embed_dim, bias=False)
        self.transformer = ContinuousTransformer(config, context_dim)
        self.preprocess_conv = nn.Conv1d(config.io_channels, config.io_channels, 1, bias=False)
        self.postprocess_conv = nn.Conv1d(config.io_channels, config.io_channels, 1, bias=False)
        nn.init.zeros_(self.preprocess_conv.weight)
        nn.init.zeros_(self.postprocess_conv.weight)

    def embed_global(self, condition: Tensor) -> Tensor:
        """Project a global condition to the transformer's width: (batch, [frames,] dim) -> (batch, width).

        Over several frames, the maximum of each feature is taken. Zero stays zero.
        """
        embedded: Tensor = self.to_global_embed(condition)
        return embedded.amax(dim=1) if embedded.ndim == 3 else embedded

    def forward(self, x: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """Evaluate once.

        Args:
            x: noisy latents, (batch, channels, frames), frames a multiple of the patch size.
            t: time of the flow, (batch,), 1 is noise and 0 is data.
            conditions: any of `global` (batch, width), as `embed_global` gives it, and `add` (batch, tokens, width).

        Returns:
            The prediction, shaped as `x`.
        """
        embedding = self.to_timestep_embed(self.timestep_features(t))
        if "global" in conditions:
            embedding = embedding + conditions["global"]
        tokens = self._patches(x + self.preprocess_conv(x))
        out = self._frames(self.transformer(tokens, embedding, conditions.get("add")))
        filtered: Tensor = self.postprocess_conv(out)
        return out + filtered

    def _patches(self, x: Tensor) -> Tensor:
        """(b, c, t·p) -> (b, t, c·p): a token is the patch's frames of channel 0, then of channel 1, …"""
        grouped = x.reshape(x.shape[0], self.channels, -1, self.patch_size)
        return grouped.transpose(1, 2).flatten(2)

    def _frames(self, tokens: Tensor) -> Tensor:
        """(b, t, c·p) -> (b, c, t·p)"""
        grouped = tokens.reshape(tokens.shape[0], -1, self.channels, self.patch_size)
        return grouped.transpose(1, 2).flatten(2)
