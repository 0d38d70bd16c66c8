"""The condition of a stem: a probability for each kind of sound."""

from collections.abc import Mapping

from torch import Tensor, nn

from omniaudio.config import KindVectorConfig

# Standard deviations of the initial weights. The condition has to be as strong as the timestep's embedding and the
# tokens, or the transformer takes thousands of steps to use it.
GLOBAL_SCALE, TOKEN_SCALE = 1.0, 0.5


class KindVector(nn.Module):
    """Probabilities `kinds` (batch, frames, kinds) → `global` (batch, global_dim), of their mean over time, and `add`
    (batch, frames, output_dim).

    Without biases, so that no kind at all, zeros, is the dropped condition of guidance.
    """

    def __init__(self, config: KindVectorConfig, name: str) -> None:
        super().__init__()
        self.name = name
        self.to_global = nn.Linear(len(config.kinds), config.global_dim, bias=False)
        self.to_tokens = nn.Linear(len(config.kinds), config.output_dim, bias=False)
        nn.init.normal_(self.to_global.weight, std=GLOBAL_SCALE)
        nn.init.normal_(self.to_tokens.weight, std=TOKEN_SCALE)

    def forward(self, features: Mapping[str, Tensor], latent_frames: int) -> dict[str, Tensor]:
        kinds = features[self.name]
        return {"global": self.to_global(kinds.mean(1)), "add": self.to_tokens(kinds)}
