"""The contract of a session: the same cases on every back-end that is here."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from omniaudio.config import load_config
from omniaudio.errors import UserError
from omniaudio.model_zoo import registry
from support.released_form import models_in
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Stage
from trt_engine.runtime.backends import backends, state
from trt_engine.runtime.open import open_pipeline
from trt_engine.runtime.session import Array, Session

OpenStage = Callable[[Stage], Session]

STAGES = [
    *(("model", stage) for stage in Stage if stage is not Stage.VISION),
    *(("joint", stage) for stage in (Stage.VISION, Stage.CONDITIONER, Stage.DECODER)),
]
"""The draft's stages, and those that a model of the released form computes in another way."""
STRICT = STAGES[: len(Stage)]
"""Stages that refuse in torch, too, what their graphs refuse."""

SHORT_TOKENS = 12
MAX_ERROR = 1e-3
"""Between back-ends, over the largest value."""


@pytest.fixture(scope="module", params=list(backends()))
def opened(request: pytest.FixtureRequest) -> Callable[[registry.Model], OpenStage]:
    found = state(backends()[request.param])
    if not found.available:
        pytest.skip(f"{request.param}: {found.reason}")

    @cache
    def open_model(model: registry.Model) -> OpenStage:
        try:
            with models_in(model.folder.parent):
                pipeline = open_pipeline(model, request.param)
        except UserError as error:  # a GPU is here, but the bundle holds no engines for it
            pytest.skip(error.message)
        session: OpenStage = pipeline.session  # type: ignore[attr-defined]
        return session

    return open_model


@pytest.fixture(scope="module")
def reference() -> Callable[[registry.Model, Stage, int, int], dict[str, Array]]:
    """What ONNX Runtime computes, once for all back-ends."""
    session = cache(lambda model: open_pipeline(model, "onnxruntime").session)
    return cache(
        lambda model, stage, batch, tokens: session(model)(stage).run(inputs(model.folder, stage, batch, tokens))
    )


@pytest.fixture
def chosen(request: pytest.FixtureRequest, which: str) -> registry.Model:
    found: registry.Model = request.getfixturevalue(which)
    return found


def inputs(folder: Path, stage: Stage, batch: int, tokens: int) -> dict[str, Array]:
    """Of the sizes that a bundle names: noise, frames of noise, and times between noise and data."""
    found = bundle.load(folder)
    config = load_config(folder / found.config.file)
    frames = tokens * config.model.diffusion.config.patch_size
    sizes = {"batch": batch, "tokens": tokens, "frames": frames, "samples": frames * config.samples_per_latent}
    generator = np.random.default_rng(batch)
    made: dict[str, Array] = {}
    for tensor in found.graphs[stage].inputs:
        shape = tuple(sizes[size] if isinstance(size, str) else size for size in tensor.shape)
        if stage is Stage.VISION:
            made[tensor.name] = generator.integers(0, 256, shape, np.uint8)
        elif tensor.name == "t":
            made[tensor.name] = np.linspace(0.9, 0.2, batch, dtype=np.float32)
        else:
            made[tensor.name] = generator.standard_normal(shape, np.float32)
    return made


def native_tokens(model: registry.Model) -> int:
    config = load_config(model.config)
    return config.latent_frames // config.model.diffusion.config.patch_size


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("which", "stage"), STAGES)
def test_it_computes_what_the_others_compute_and_is_deterministic(
    opened: Callable[[registry.Model], OpenStage],
    reference: Callable[[registry.Model, Stage, int, int], dict[str, Array]],
    chosen: registry.Model,
    stage: Stage,
    batch: int,
) -> None:
    """At the native length for one; twice, and at another length where it may differ, for three."""
    tokens = native_tokens(chosen) if batch == 1 else SHORT_TOKENS
    given = inputs(chosen.folder, stage, batch, tokens)
    kept = {name: value.copy() for name, value in given.items()}
    session = opened(chosen)(stage)
    first = session.run(given)
    second = first if batch == 1 else session.run(given)
    wanted = reference(chosen, stage, batch, tokens)
    assert first.keys() == wanted.keys()
    for name, value in wanted.items():
        assert first[name].dtype == np.float32
        assert first[name].shape == value.shape
        assert np.abs(first[name] - value).max() <= MAX_ERROR * np.abs(value).max()
        np.testing.assert_array_equal(first[name], second[name])
    for name, value in kept.items():
        np.testing.assert_array_equal(given[name], value)


@pytest.mark.parametrize(("which", "stage"), STRICT)
def test_wrong_inputs_raise_and_the_session_lives_on(
    opened: Callable[[registry.Model], OpenStage], chosen: registry.Model, stage: Stage
) -> None:
    session = opened(chosen)(stage)
    given = inputs(chosen.folder, stage, 1, SHORT_TOKENS)
    first, *others = given
    wrong_name = {"nobody": given[first], **{name: given[name] for name in others}}
    too_few_dimensions = given | {first: given[first][0]}
    axis = 1 if stage in {Stage.DECODER, Stage.ENCODER, Stage.VELOCITY} else -1  # channels, or features
    wrong_size = given | {first: np.concatenate([given[first]] * 2, axis)}
    for wrong in (wrong_name, too_few_dimensions, wrong_size):
        with pytest.raises(Exception):  # noqa: B017, PT011 - each back-end has its own
            session.run(wrong)
    assert session.run(given)
