"""The contract of a session: the same cases on every back-end that is here."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from omniaudio import zoo
from omniaudio.config import load_config
from omniaudio.errors import UserError
from trt_engine import bundle
from trt_engine.backends import presence
from trt_engine.bundle import Stage
from trt_engine.pipeline import open_pipeline
from trt_engine.runtime.session import Array, Backend, Session

Open = Callable[[Stage], Session]

SHORT_TOKENS = 12
LARGEST_ERROR = 1e-3
"""Between back-ends, over the largest value."""


@pytest.fixture(scope="module", params=list(Backend))
def open_session(request: pytest.FixtureRequest, model: zoo.Model) -> Open:
    found = presence(request.param)
    if not found.usable:
        pytest.skip(f"{request.param}: {found.hindrance}")
    try:
        pipeline = open_pipeline(model, request.param)
    except UserError as error:  # a GPU is here, but the bundle holds no engines for it
        pytest.skip(error.sentence)
    opened: Open = pipeline.session  # type: ignore[attr-defined]
    return opened


@pytest.fixture(scope="module")
def reference(model: zoo.Model) -> Callable[[Stage, int, int], dict[str, Array]]:
    """What ONNX Runtime computes, once for all back-ends."""
    session = open_pipeline(model, "onnxruntime").session  # type: ignore[attr-defined]
    return cache(lambda stage, batch, tokens: session(stage).run(inputs(model.folder, stage, batch, tokens)))


def inputs(folder: Path, stage: Stage, batch: int, tokens: int) -> dict[str, Array]:
    """Of the sizes that a bundle names: noise, pictures of noise, and times between noise and data."""
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


def native_tokens(model: zoo.Model) -> int:
    config = load_config(model.config)
    return config.latent_frames // config.model.diffusion.config.patch_size


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", list(Stage))
def test_it_computes_what_the_others_compute_and_the_same_bits_again(
    open_session: Open,
    reference: Callable[[Stage, int, int], dict[str, Array]],
    model: zoo.Model,
    stage: Stage,
    batch: int,
) -> None:
    """At the native length for one; twice, and at another length where it may differ, for three."""
    tokens = native_tokens(model) if batch == 1 else SHORT_TOKENS
    given = inputs(model.folder, stage, batch, tokens)
    kept = {name: value.copy() for name, value in given.items()}
    session = open_session(stage)
    first = session.run(given)
    second = first if batch == 1 else session.run(given)
    wanted = reference(stage, batch, tokens)
    assert first.keys() == wanted.keys()
    for name, value in wanted.items():
        assert first[name].dtype == np.float32
        assert first[name].shape == value.shape
        assert np.abs(first[name] - value).max() <= LARGEST_ERROR * np.abs(value).max()
        np.testing.assert_array_equal(first[name], second[name])
    for name, value in kept.items():
        np.testing.assert_array_equal(given[name], value)


@pytest.mark.parametrize("stage", list(Stage))
def test_wrong_inputs_raise_and_the_session_lives_on(open_session: Open, model: zoo.Model, stage: Stage) -> None:
    session = open_session(stage)
    given = inputs(model.folder, stage, 1, SHORT_TOKENS)
    first, *others = given
    wrong_name = {"nobody": given[first], **{name: given[name] for name in others}}
    too_few_dimensions = given | {first: given[first][0]}
    axis = 1 if stage in {Stage.DECODER, Stage.ENCODER, Stage.VELOCITY} else -1  # channels, or features
    wrong_size = given | {first: np.concatenate([given[first]] * 2, axis)}
    for wrong in (wrong_name, too_few_dimensions, wrong_size):
        with pytest.raises(Exception):  # noqa: B017, PT011 - each back-end has its own
            session.run(wrong)
    assert session.run(given)
