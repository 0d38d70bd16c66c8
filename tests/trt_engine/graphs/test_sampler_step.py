"""The sampler's step as a graph: in ONNX Runtime against the sampler on arrays, and through TensorRT-RTX's compiler."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from omniaudio.config import load_config
from omniaudio.generation.condition_cache import Spool
from omniaudio.generation.sampler import Held, euler, halves, holding, whole_velocity
from omniaudio.generation.windows import Window, WindowPlan, noise, plan
from omniaudio.model_zoo import registry
from trt_engine.compile.compiler import Job, compile_graph
from trt_engine.compile.targets import Flavour
from trt_engine.graphs.sampler_step import OUTPUTS, tables, update_graph, update_profile
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.session import Array

CHANNELS, LENGTH, STEPS = 6, 40, 7
DROPS = ("add",)


def velocity(x: Array, t: Array, told: dict[str, Array]) -> Array:
    """Bends, mixes neighbouring frames and listens to both conditions."""
    mixed = x + 0.5 * np.roll(x, 1, axis=2) + told["add"]
    return (np.tanh(mixed) * t[:, None, None] + told["global"]).astype(np.float32)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("takes", [1, 3])
@pytest.mark.parametrize("frames", [40, 41, 55, 70, 99, 500])
@pytest.mark.parametrize("known", [False, True], ids=["all new", "a part is known"])
def test_the_graph_steps_as_the_sampler_does(
    tmp_path: Path, frames: int, takes: int, guidance: float, known: bool
) -> None:
    windows = plan(frames, LENGTH, 0.2, 2)
    generator = np.random.default_rng(frames)
    conditions = Spool()
    for _ in windows.windows:
        told = generator.standard_normal((2, 1, CHANNELS, LENGTH), np.float32)
        conditions.append({"add": told[0], "global": told[1]})
    start = np.stack([noise(1, take, CHANNELS, windows.frames) for take in range(takes)])
    held = None
    if known:
        latents = generator.standard_normal(start.shape[1:], np.float32)
        held = Held(latents, generator.random(windows.frames) < 0.5)
    rows_seen: list[int] = []
    whole = whole_velocity(
        velocity, windows, conditions, guidance=guidance, drops=DROPS, like=start, on_rows=rows_seen.append
    )
    wanted = euler(holding(whole, start, held), start, STEPS)

    both = halves(guidance)
    graph = tmp_path / "update.onnx"
    onnx.save(update_graph(CHANNELS, LENGTH, guided=both == 2), graph)
    session, table = OnnxRuntimeSession(graph), tables(windows)
    told = conditions.read(range(len(windows.windows)), repeat=takes)
    told = {name: np.concatenate([one, one * (name not in DROPS)][:both]) for name, one in told.items()}
    fixed: dict[str, Array] = {"steps": np.array([STEPS], np.float32), "index": table.index}
    fixed |= {"cut": table.cut, "weight": table.weight if held is None else table.weight * ~held.frames}
    fixed["known"] = np.zeros_like(start) if held is None else held.velocity(start)
    if both == 2:
        fixed["guidance"] = np.array([guidance], np.float32)
    x, rows = start, table.rows(start, both)
    for step in range(STEPS):
        times = np.full(len(rows), 1 - step / STEPS, np.float32)
        computed = session.run({"x": x, "velocity": velocity(rows, times, told), **fixed})
        x, rows = (computed[name] for name in OUTPUTS)
        np.testing.assert_array_equal(rows, table.rows(x, both))
    conditions.close()
    assert sum(rows_seen) == STEPS * len(rows)
    np.testing.assert_allclose(x, wanted, rtol=0, atol=4e-6 * np.abs(wanted).max())


def test_three_windows_at_one_frame_are_refused() -> None:
    crowded = WindowPlan(40, 8, 10, tuple(Window(start, start) for start in (0, 4, 8, 12)))
    with pytest.raises(ValueError, match="overlap"):
        tables(crowded)


@pytest.mark.parametrize("guided", [False, True])
def test_tensorrt_rtx_compiles_it_for_every_card_without_one(
    model: registry.Model, tmp_path: Path, guided: bool
) -> None:
    """Strongly typed and for explicit architectures, with the sizes of the model itself."""
    pytest.importorskip("tensorrt_rtx")
    config = load_config(model.config)
    graph, engine = tmp_path / "update.onnx", tmp_path / "update.engine"
    onnx.save(update_graph(config.latent_channels, config.latent_frames, guided), graph)
    profile = update_profile(config, guided)
    compile_graph(Job(Flavour.TENSORRT_RTX, graph, (75, 89, 120), profile, OUTPUTS), engine)
    assert 1_000 < engine.stat().st_size < 2_000_000
