from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from omniaudio.generation.sampler import ROWS_AT_ONCE, Held, euler, guided, halves, holding, whole_velocity
from omniaudio.generation.windows import plan

Array = Any
MAKERS: dict[str, Callable[[np.ndarray], Array]] = {"numpy": lambda x: x, "torch": torch.from_numpy}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Array]:
    return MAKERS[request.param]


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("steps", [1, 3, 24])
def test_a_straight_flow_arrives_in_any_number_of_steps(make: Callable[[np.ndarray], Array], steps: int) -> None:
    noise, data = make(_normal(2, 3, 5)), make(_normal(2, 3, 5)[::-1].copy())
    kept = np.asarray(noise).copy()
    latents = euler(lambda x, t: noise - data, noise, steps)
    np.testing.assert_allclose(np.asarray(latents), np.asarray(data), atol=1e-5)
    np.testing.assert_array_equal(np.asarray(noise), kept)
    assert type(latents) is type(noise)
    assert latents.dtype == noise.dtype


def test_times_go_from_noise_towards_data_one_for_each_of_the_batch(make: Callable[[np.ndarray], Array]) -> None:
    times = []

    def velocity(x: Array, t: Array) -> Array:
        times.append(np.asarray(t))
        return 0 * x

    done = []
    euler(velocity, make(_normal(2, 3, 5)), 4, lambda step, steps: done.append((step, steps)))
    np.testing.assert_allclose(times, [[1, 1], [0.75, 0.75], [0.5, 0.5], [0.25, 0.25]])
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_euler_converges_on_a_flow_that_bends() -> None:
    # dx/dt = x from t = 1 to 0 divides by e.
    noise = _normal(1, 2, 3)
    coarse, fine = (np.abs(euler(lambda x, t: x, noise, steps) - noise / np.e).max() for steps in (10, 1000))
    assert fine < 0.02 * coarse


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_known_latents_are_held_on_their_path_at_every_step(make: Callable[[np.ndarray], Array], steps: int) -> None:
    """Against the plain derivation: after each step they are put back to (1−t)·z + t·noise, in float64."""
    noise, known = _normal(2, 3, 8), _normal(3, 8)
    frames = np.array([True, True, False, False, True, False, False, True])

    def velocity(x: Array, t: Array) -> Array:
        """What becomes of a frame depends on its neighbours, so on those that are held."""
        xp = np if isinstance(x, np.ndarray) else torch
        return xp.tanh(x + 0.7 * xp.roll(x, 1, -1)) * (0.5 + t[:, None, None])

    seen: list[np.ndarray] = []

    def watched(x: Array, t: Array) -> Array:
        seen.append(np.asarray(x).copy())
        return velocity(x, t)

    held = Held(known, frames)
    latents = np.asarray(euler(holding(watched, make(noise), held), make(noise), steps))

    x = noise.astype(np.float64)
    for step in range(steps):
        np.testing.assert_allclose(seen[step], x, atol=1e-5)
        x -= velocity(x, np.full(2, 1 - step / steps)) / steps
        t = 1 - (step + 1) / steps
        x[..., frames] = (1 - t) * known[:, frames] + t * noise[..., frames]
    np.testing.assert_allclose(latents, x, atol=1e-5)
    np.testing.assert_allclose(latents[..., frames], np.stack([known[:, frames]] * 2), atol=1e-5)
    free = np.asarray(euler(velocity, make(noise), steps))
    assert steps == 1 or np.abs(free - latents)[..., ~frames].max() > 0.05, "the others hear of them"


def test_nothing_known_changes_nothing() -> None:
    noise = _normal(1, 2, 4)
    nothing = Held(_normal(2, 4), np.zeros(4, np.bool_))
    flow = lambda x, t: np.sin(x)  # noqa: E731
    np.testing.assert_array_equal(euler(holding(flow, noise, nothing), noise, 5), euler(flow, noise, 5))
    assert holding(flow, noise, None) is flow


def test_what_a_step_raises_ends_the_sampling() -> None:
    evaluations = []

    def velocity(x: Array, t: Array) -> Array:
        evaluations.append(t)
        return x

    def cancel(step: int, steps: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        euler(velocity, _normal(1, 2, 3), 10, cancel)
    assert len(evaluations) == 2


class _Model:
    """A velocity that shows what it was told, and counts."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Array, t: Array, conditions: Mapping[str, Array]) -> Array:
        self.batches.append(len(x))
        return x * t[:, None, None] + conditions["add"] + 10 * conditions["global"]


@pytest.fixture
def told(make: Callable[[np.ndarray], Array]) -> dict[str, Array]:
    return {"add": make(_normal(2, 3, 5)), "global": make(_normal(2, 1, 1))}


@pytest.mark.parametrize("dropped", ["add", "global"])
def test_guidance_goes_beyond_what_the_dropped_condition_changes(
    make: Callable[[np.ndarray], Array], told: dict[str, Array], dropped: str
) -> None:
    model, x, t = _Model(), make(_normal(2, 3, 5)), make(np.array([0.5, 0.75], np.float32))
    velocity = guided(model, told, 3.0, (dropped,))(x, t)
    assert model.batches == [4]
    conditional = _Model()(x, t, told)
    unconditional = _Model()(x, t, {**told, dropped: 0 * told[dropped]})
    expected = unconditional + 3 * (conditional - unconditional)
    np.testing.assert_allclose(np.asarray(velocity), np.asarray(expected), atol=1e-4)


def test_guidance_of_one_costs_one_evaluation(make: Callable[[np.ndarray], Array], told: dict[str, Array]) -> None:
    model, x, t = _Model(), make(_normal(2, 3, 5)), make(np.ones(2, np.float32))
    velocity = guided(model, told, 1.0, ("add",))(x, t)
    assert model.batches == [2]
    np.testing.assert_array_equal(np.asarray(velocity), np.asarray(_Model()(x, t, told)))


class _Told:
    """Conditions of windows by their indexes, in numpy or torch."""

    def __init__(self, make: Callable[[np.ndarray], Array], count: int, length: int) -> None:
        self.windows = np.random.default_rng(0).standard_normal((count, 1, length)).astype(np.float32)
        self.make = make

    def read(self, indexes: Sequence[int], repeat: int) -> dict[str, Array]:
        rows = np.repeat(self.windows[list(indexes)], repeat, axis=0)
        return {"add": self.make(rows), "global": self.make(rows[:, :, :1].copy())}


@pytest.mark.parametrize("takes", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_latent_of_any_length_is_its_windows_blended(
    make: Callable[[np.ndarray], Array], guidance: float, takes: int
) -> None:
    """Against the sum that it is by definition, window by window; and every row of the transformer is reported once."""
    windows = plan(300, 40, 0.2, 2)
    x = np.random.default_rng(1).standard_normal((takes, 2, windows.frames)).astype(np.float32)
    told = _Told(make, len(windows.windows), windows.length)
    model, rows = _Model(), []
    whole = whole_velocity(model, windows, told, guidance=guidance, drops=("add",), like=make(x), on_rows=rows.append)
    found = np.asarray(whole(make(x), make(np.full(takes, 0.5, np.float32))))
    expected = np.zeros_like(x)
    for index, window in enumerate(windows.windows):
        span = slice(window.start, window.start + windows.length)
        add = told.windows[index]
        dropped = 0.5 * x[..., span] + 10 * add[:, :1]
        expected[..., span] += (dropped + guidance * add) * windows.weights(index)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert sum(rows) == sum(model.batches) == len(windows.windows) * takes * halves(guidance)
    assert max(model.batches) <= max(ROWS_AT_ONCE, takes * halves(guidance))
