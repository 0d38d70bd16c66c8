"""Generation over windows, with models whose answer is known in closed form."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from omniaudio.generation.condition_cache import Spool
from omniaudio.generation.pipeline import DECODING, LOOKING, SAMPLING, Generation, Settings
from omniaudio.generation.sampler import Held, euler, holding, whole_velocity
from omniaudio.generation.windows import WindowPlan
from omniaudio.progress import Report
from support.small_pipeline import CHANNELS, FRAME_RATE, FRAMES, RATE, RATIO, config

Array = NDArray[Any]


class Analytic:
    """Sees the brightness of frames; `answer` gives the predicted data from x, t and brightness."""

    name, identity, backend = "analytic", "0" * 64, "numpy"
    versions: Mapping[str, str] = {}

    def __init__(self, answer: Callable[[Array, float, Array], Array]) -> None:
        self.config = config()
        self.answer = answer
        self.frames_seen = 0

    def vision(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.frames_seen += len(inputs["video_fov"])
        return {"brightness": inputs["video_fov"].mean((1, 2, 3), dtype=np.float32)}

    def conditions(self, features: Sequence[dict[str, Array]]) -> dict[str, Array]:
        """Each latent frame gets the brightness of the nearest video frame."""
        brightness = np.stack([one["brightness"] for one in features], axis=1)
        frames = np.arange(FRAMES) * RATIO / RATE * FRAME_RATE
        nearest = np.clip(np.rint(frames).astype(int), 0, brightness.shape[1] - 1)
        return {"add": brightness[:, None, nearest]}

    def condition_store(self) -> Spool:
        return Spool()

    def sample(
        self,
        start: Array,
        windows: WindowPlan,
        conditions: Spool,
        *,
        guidance: float,
        steps: int,
        on_rows: Callable[[int], None],
        held: Held | None = None,
    ) -> Array:
        whole = whole_velocity(
            self.velocity,
            windows,
            conditions,
            guidance=guidance,
            drops=self.config.omniaudio.guidance_drops,
            like=start,
            on_rows=on_rows,
        )
        latents: Array = euler(holding(whole, start, held), start, steps)
        return latents

    def velocity(self, x: Array, t: Array, conditions: Mapping[str, Array]) -> Array:
        data = self.answer(x, float(t[0]), conditions["add"])
        velocity: Array = (x - data) / t[:, None, None]
        return velocity

    def decode(self, latents: Array) -> Array:
        return np.repeat(latents[:, :4], RATIO, axis=-1)

    def encode(self, foa: Array) -> Array:
        raise AssertionError("generating never encodes")


def grey_frames(brightness: Iterable[int]) -> Iterator[Array]:
    for value in brightness:
        yield np.full((32, 64, 3), value, np.uint8)


def run(model: Analytic, seconds: float, shown: Iterator[Array], **settings: Any) -> Array:
    chosen = Settings(**({"seed": 0, "takes": 1, "steps": 8, "guidance": 1.0} | settings))
    generation = Generation(model, seconds, chosen, lambda report: None)
    generation.look(shown)
    latents = generation.sample()
    generation.close()
    return latents


def test_every_latent_frame_follows_the_video_frame_of_its_time() -> None:
    model = Analytic(lambda x, t, told: np.broadcast_to(told, x.shape))
    seconds = 100.0
    latents = run(model, seconds, grey_frames(range(200)), takes=2)
    times = np.arange(latents.shape[-1]) * RATIO / RATE
    wanted = np.minimum(times * FRAME_RATE, 199)
    assert latents.shape == (2, CHANNELS, latents.shape[-1])
    assert np.abs(latents - wanted).max() <= 0.5 + 0.2 + 1e-3  # to the nearest video frame, from a grid of two frames
    assert model.frames_seen == 200  # once each, though windows overlap


def test_frames_that_end_early_are_repeated() -> None:
    model = Analytic(lambda x, t, told: np.broadcast_to(told, x.shape))
    latents = run(model, 30.0, grey_frames([10, 20, 30]))
    np.testing.assert_allclose(latents[..., 30:], 30, atol=1e-3)


def test_a_still_is_looked_at_once() -> None:
    still = np.full((32, 64, 3), 99, np.uint8)
    model = Analytic(lambda x, t, told: np.broadcast_to(told, x.shape))
    latents = run(model, 60.0, iter([still] * 120))
    np.testing.assert_allclose(latents, 99, atol=1e-3)
    assert model.frames_seen == 1


def gaussian_process(correlation: float) -> Callable[[Array, float, Array], Array]:
    """The exact posterior mean of an autoregressive process of unit variance within one window.

    E[z | x_t] = (1−t) Σ ((1−t)² Σ + t² I)⁻¹ x_t. Its velocity carries noise to samples of that process.
    """
    distance = np.abs(np.arange(FRAMES)[:, None] - np.arange(FRAMES))
    covariance = correlation**distance

    def posterior(x: Array, t: float, told: Array) -> Array:
        filtered = (1 - t) * covariance @ np.linalg.inv((1 - t) ** 2 * covariance + t**2 * np.eye(FRAMES))
        return (x @ filtered.T).astype(np.float32)

    return posterior


def test_a_window_border_has_the_level_and_the_spectrum_of_elsewhere() -> None:
    """A process with memory: blending windows must neither damp nor whiten it where they meet."""
    model = Analytic(gaussian_process(0.9))
    generation = Generation(model, 160.0, Settings(seed=3, takes=8, steps=40, guidance=1.0), lambda report: None)
    plan = generation.windows
    generation.look(grey_frames([0] * 400))
    latents = generation.sample()
    generation.close()
    middles = [(second.start + first.start + plan.length) // 2 for first, second in pairwise(plan.windows)]
    near = np.zeros(latents.shape[-1] - 1, bool)
    for middle in middles:
        near[middle - plan.fade // 2 : middle + plan.fade // 2] = True
    level = (latents[..., :-1] ** 2).mean((0, 1))
    step = (np.diff(latents) ** 2).mean((0, 1))
    inside = slice(plan.fade, -plan.fade)
    assert level[near].mean() == pytest.approx(level[inside][~near[inside]].mean(), rel=0.03)
    assert step[near].mean() == pytest.approx(step[inside][~near[inside]].mean(), rel=0.03)


def test_seed_and_takes() -> None:
    model = Analytic(gaussian_process(0.5))

    def latents(**settings: Any) -> Array:
        return run(model, 20.0, grey_frames([0] * 40), **settings)

    first = latents(seed=5, takes=2)
    np.testing.assert_array_equal(first, latents(seed=5, takes=2))
    assert np.abs(first[0] - first[1]).max() > 0.1
    assert np.abs(first[0] - latents(seed=6)[0]).max() > 0.1
    np.testing.assert_allclose(first[0], latents(seed=5)[0], atol=1e-4)  # a take does not depend on the others


def test_guidance_drops_what_the_config_says() -> None:
    model = Analytic(lambda x, t, told: np.broadcast_to(told, x.shape))
    model.config = model.config.model_copy(
        update={"omniaudio": model.config.omniaudio.model_copy(update={"guidance_drops": ("add",)})}
    )
    latents = run(model, 10.0, grey_frames([50] * 20), guidance=3.0)
    np.testing.assert_allclose(latents, 150, atol=1e-2)  # 0 + 3 · (50 − 0)


@pytest.mark.parametrize("seconds", [0.001, 0.35, 6.0, 6.05, 17.3])
def test_sound_has_the_wanted_length_to_the_sample(seconds: float) -> None:
    model = Analytic(lambda x, t, told: np.broadcast_to(told, x.shape))
    generation = Generation(model, seconds, Settings(seed=0, takes=1, steps=2, guidance=1.0), lambda report: None)
    generation.look(grey_frames([7] * 100))
    latents = generation.sample()
    for rate in (RATE, 1200):
        samples = round(seconds * rate)
        sound = np.concatenate(list(generation.sound(latents[0], rate, samples)), axis=1)
        assert sound.shape == (4, samples)
    generation.close()


def test_progress_runs_through_the_stages_to_its_end() -> None:
    reports: list[Report] = []
    model = Analytic(lambda x, t, told: np.broadcast_to(told, x.shape))
    generation = Generation(model, 60.0, Settings(seed=0, takes=2, steps=3, guidance=2.0), reports.append)
    generation.look(grey_frames([1] * 120))
    for take in generation.sample():
        list(generation.sound(take, RATE, 60 * RATE))
    generation.close()
    assert list(dict.fromkeys(report.stage for report in reports)) == [LOOKING, SAMPLING, DECODING]
    assert all(0 <= report.fraction <= 1 and report.seconds_left >= 0 for report in reports)
    assert reports[-1].fraction == 1
    assert reports[-1].seconds_left == 0


def test_an_exception_in_the_report_cancels_the_generation() -> None:
    def cancel(report: Report) -> None:
        if report.stage == SAMPLING:
            raise KeyboardInterrupt

    generation = Generation(
        Analytic(gaussian_process(0.5)), 30.0, Settings(seed=0, takes=1, steps=100, guidance=1.0), cancel
    )
    generation.look(grey_frames([1] * 60))
    with pytest.raises(KeyboardInterrupt):
        generation.sample()
    generation.close()
