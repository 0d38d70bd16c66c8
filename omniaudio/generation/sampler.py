"""Rectified-flow sampling with classifier-free guidance, for numpy arrays and torch tensors alike.

At time t a latent is x_t = (1−t)·z + t·noise (Liu et al. 2022, arXiv 2209.03003). The sampler follows the velocity
noise − z from t = 1, noise, to t = 0, data.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from omniaudio.generation.arrays import Array, as_like, namespace
from omniaudio.generation.windows import WindowPlan

ROWS_AT_ONCE = 8
"""Rows (windows · takes · halves of guidance) that the transformer computes together, unless one window has more."""

Velocity = Callable[[Array, Array, Mapping[str, Array]], Array]
"""(latents (batch, channels, frames), t (batch,), conditions) -> velocity, shaped as the latents."""


class Conditions(Protocol):
    """Holds the conditions of every window."""

    def read(self, indexes: Sequence[int], repeat: int) -> dict[str, Array]:
        """The conditions of some windows, joined along the first axis, each repeated `repeat` times."""
        ...


class Held(NamedTuple):
    """Known latents `latents` (channels, frames), valid for every take where `frames` (frames,) is true."""

    latents: NDArray[np.float32]
    frames: NDArray[np.bool_]

    def velocity(self, noise: Array) -> Array:
        """noise − latents in the known frames, which keeps them on their path at every step; 0 elsewhere.

        Has the shape of the noise, (takes, channels, frames), and its array type."""
        known = as_like(self.frames.astype(np.float32), noise)
        return (noise - as_like(self.latents, noise)) * known


def holding(
    velocity: Callable[[Array, Array], Array], noise: Array, held: Held | None
) -> Callable[[Array, Array], Array]:
    """Changes a velocity so that known latents follow x_t = (1−t)·latents + t·noise; the others are unaffected.

    So at each step the model sees what is known, as noisy as everything else, and continues it.

    Args:
        velocity: of (latents (takes, channels, frames), t (takes,)).
        noise: where the sampling starts.
        held: what is known, if anything.
    """
    if held is None:
        return velocity
    known = held.velocity(noise)
    free = as_like((~held.frames).astype(np.float32), noise)
    return lambda x, t: velocity(x, t) * free + known


def halves(guidance: float) -> int:
    """How many rows of the transformer one row of latents costs: with guidance, two."""
    return 1 if guidance == 1 else 2


def guided(
    velocity: Velocity, conditions: Mapping[str, Array], guidance: float, drops: Collection[str]
) -> Callable[[Array, Array], Array]:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598): v = u + guidance · (c − u).

    Args:
        velocity: evaluated once for both halves, as one batch of twice the size.
        conditions: of the conditional half c; each has the batch as its first axis.
        guidance: 1 is no guidance, and costs half.
        drops: the conditions that are zero in the unconditional half u.

    Returns:
        The guided velocity of (latents (batch, channels, frames), t (batch,)).
    """
    if halves(guidance) == 1:
        return lambda x, t: velocity(x, t, conditions)

    both = {}
    for name, condition in conditions.items():
        xp = namespace(condition)
        both[name] = xp.concatenate((condition, xp.zeros_like(condition) if name in drops else condition))

    def guided_velocity(x: Array, t: Array) -> Array:
        xp = namespace(x)
        doubled = velocity(xp.concatenate((x, x)), xp.concatenate((t, t)), both)
        conditional, unconditional = doubled[: len(x)], doubled[len(x) :]
        return unconditional + guidance * (conditional - unconditional)

    return guided_velocity


def euler(
    velocity: Callable[[Array, Array], Array],
    noise: Array,
    steps: int,
    on_step: Callable[[int, int], None] | None = None,
    begin: float = 1.0,
) -> Array:
    """Integrates the velocity in `steps` equal steps from t = `begin` to t = 0.

    Args:
        velocity: of (latents (batch, channels, frames), t (batch,)).
        noise: the start, (batch, channels, frames): standard normal at t = 1, else a partly denoised latent. It is
            not modified.
        steps: 1 or more.
        on_step: called with (steps done, steps) after each step; an exception ends the sampling.
        begin: in (0, 1].

    Returns:
        Latents, shaped as the noise.
    """
    xp = namespace(noise)
    x = noise
    for step in range(steps):
        t = xp.full_like(noise[:, 0, 0], begin * (1 - step / steps))
        x = x - velocity(x, t) * (begin / steps)
        if on_step is not None:
            on_step(step + 1, steps)
    return x


def whole_velocity(
    velocity: Velocity,
    windows: WindowPlan,
    conditions: Conditions,
    *,
    guidance: float,
    drops: Collection[str],
    like: Array,
    on_rows: Callable[[int], None],
) -> Callable[[Array, Array], Array]:
    """The guided velocity of a latent of any length, blended from its windows.

    Args:
        velocity: of windows, as for `guided`.
        windows: how the latent is divided.
        conditions: of every window.
        guidance: as for `guided`.
        drops: as for `guided`.
        like: an array of the library, device and type that the latents will have.
        on_rows: called with the number of rows the transformer has computed; an exception ends the sampling.

    Returns:
        The velocity of (latents (takes, channels, frames), t (takes,), which are all equal).
    """
    weights = [as_like(windows.weights(index), like) for index in range(len(windows.windows))]

    def whole(x: Array, t: Array) -> Array:
        takes = len(x)

        def of_windows(latents: Array, indexes: Sequence[int]) -> Array:
            times = t[:1].repeat(len(latents))
            rows = guided(velocity, conditions.read(indexes, repeat=takes), guidance, drops)(latents, times)
            on_rows(len(latents) * halves(guidance))
            return rows

        return windows.blend(of_windows, x, weights, max(1, ROWS_AT_ONCE // (takes * halves(guidance))))

    return whole
