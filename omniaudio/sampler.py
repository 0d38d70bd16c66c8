"""Rectified-flow sampling with classifier-free guidance, for numpy arrays and torch tensors alike.

A latent on its way is x_t = (1−t)·z + t·noise (Liu et al. 2022, arXiv 2209.03003); the velocity noise − z is followed
from t = 1, noise, to t = 0, data.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

# numpy's ndarray or torch's tensor: this module knows neither which, nor torch.
Array = Any

Velocity = Callable[[Array, Array, Mapping[str, Array]], Array]
"""(latents (batch, channels, frames), t (batch,), conditions) -> velocity, shaped as the latents."""


def _namespace(x: Array) -> Any:
    return np if isinstance(x, np.ndarray) else sys.modules[type(x).__module__.partition(".")[0]]


def guided(
    velocity: Velocity, conditions: Mapping[str, Array], guidance: float | Array, drops: Collection[str]
) -> Callable[[Array, Array], Array]:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598): v = u + guidance · (c − u).

    Args:
        velocity: evaluated once for both halves, as one batch of twice the size.
        conditions: what the conditional half c is told; each has the batch as its first axis.
        guidance: 1 is no guidance, and costs half. An array (channels,), of the latents' kind and on their device,
            guides each latent channel by its own.
        drops: the conditions that are zero in the unconditional half u.

    Returns:
        The guided velocity of (latents (batch, channels, frames), t (batch,)).
    """
    per_channel = np.ndim(guidance) > 0
    if not per_channel and guidance == 1:
        return lambda x, t: velocity(x, t, conditions)

    both = {}
    for name, condition in conditions.items():
        xp = _namespace(condition)
        both[name] = xp.concatenate((condition, xp.zeros_like(condition) if name in drops else condition))

    def guided_velocity(x: Array, t: Array) -> Array:
        xp = _namespace(x)
        doubled = velocity(xp.concatenate((x, x)), xp.concatenate((t, t)), both)
        conditional, unconditional = doubled[: len(x)], doubled[len(x) :]
        scale = xp.asarray(guidance, dtype=x.dtype)[:, None] if per_channel else guidance
        return unconditional + scale * (conditional - unconditional)

    return guided_velocity


def euler(
    velocity: Callable[[Array, Array], Array],
    noise: Array,
    steps: int,
    on_step: Callable[[int, int], None] | None = None,
) -> Array:
    """Follows the velocity in `steps` equal steps from t = 1 to t = 0.

    Args:
        velocity: of (latents (batch, channels, frames), t (batch,)).
        noise: where to start, (batch, channels, frames), standard normal. It is left as it is.
        steps: 1 or more.
        on_step: called with (steps done, steps) after each step; what it raises ends the sampling.

    Returns:
        Latents, shaped as the noise.
    """
    xp = _namespace(noise)
    x = noise
    for step in range(steps):
        t = xp.full_like(noise[:, 0, 0], 1 - step / steps)
        x = x - velocity(x, t) / steps
        if on_step is not None:
            on_step(step + 1, steps)
    return x
