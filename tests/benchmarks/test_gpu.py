"""What of the GPU's benchmark runs on a CPU: counting, ceilings, rows; not CUDA graphs, fp8 at speed or TensorRT."""

import subprocess
import sys
import weakref
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.gpu import Bench, machine
from benchmarks.gpu_model import Fp8Linear, captured, to_fp8
from benchmarks.gpu_table import ROWS, Record, Stage, Way, markdown, not_run
from benchmarks.limits import Ceilings, count_flop, measure_ceilings
from benchmarks.rows import REPOSITORY
from omniaudio.config import load_config
from support.released_form import write_config

CPU = torch.device("cpu")
CEILINGS = Ceilings({torch.float32: 1e9, torch.bfloat16: 4e9}, 1e8)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Sampler, decoder and what is made of them, measured in two ways on the CPU."""
    config = load_config(write_config(tmp_path_factory.mktemp("config") / "model_config.json"))
    bench = Bench(config, CPU, CEILINGS, rounds=2)
    models = {Way.FP32: bench.plain, Way.BF16: bench.bf16}
    project = {Way.ENGINE: bench.project_sampler}
    bench.measure(
        Stage.SAMPLER, {way: (lambda m=m: m.sampler(bench.inputs)) for way, m in models.items()} | project, 1e9, 1e8
    )
    graph = {Way.GRAPH: lambda: captured(bench.bf16.decoder(bench.inputs))}
    bench.measure(
        Stage.DECODER, {way: (lambda m=m: m.decoder(bench.inputs)) for way, m in models.items()} | graph, 1e9, 1e6
    )
    bench.conditioner()
    bench.wholes()
    bench.engines()
    return bench


def test_flop_are_those_of_the_products() -> None:
    linear, x = nn.Linear(30, 50), torch.ones(7, 30)
    assert count_flop(lambda: linear(x)) == 2 * 7 * 30 * 50


def test_ceilings_are_speeds_of_this_machine() -> None:
    ceilings = measure_ceilings(CPU, 256, 8)
    assert 1e8 < ceilings.flops[torch.float32] < 1e14
    assert 1e8 < ceilings.bandwidth < 1e13
    assert "TFLOP/s" in machine(CPU, ceilings)["float32 matrix product"]


def test_the_limit_is_the_slower_of_arithmetic_and_memory() -> None:
    assert CEILINGS.least_seconds(1e9, 1e6, torch.float32) == 1
    assert CEILINGS.least_seconds(1e9, 1e9, torch.float32) == 10


@pytest.mark.slow
def test_rows_are_measured_or_say_why_not(bench: Bench) -> None:
    rows = {(row.stage, row.way): row for row in bench.rows}
    for way in (Way.FP32, Way.BF16):
        for stage in (Stage.CONDITIONER, Stage.SAMPLER, Stage.DECODER, Stage.FEATURES_TO_SOUND):
            row = rows[stage, way]
            assert row.seconds is not None, row.reason
            assert row.seconds.count == 2
    assert rows[Stage.SAMPLER, Way.FP32].error is None  # it is what the others are compared with
    for way in (Way.BF16, Way.ENGINE):
        assert 0 < (rows[Stage.SAMPLER, way].error or 0) < 0.1, way
    assert rows[Stage.SAMPLER, Way.FP32].limit == 1
    assert rows[Stage.SAMPLER, Way.BF16].limit == 1  # by its bytes
    assert rows[Stage.DECODER, Way.GRAPH].seconds is None
    assert rows[Stage.DECODER, Way.GRAPH].reason
    assert rows[Stage.FEATURES_TO_SOUND, Way.COMPILED_GRAPH].reason.endswith(
        "sampler, 24 steps was not run in this way"
    )
    assert rows[Stage.VIDEO, Way.CPU].seconds is not None
    assert "tensorrt" in rows[Stage.SAMPLER, Way.TENSORRT].reason.lower()


@pytest.mark.slow
def test_float32_is_not_tf32(bench: Bench) -> None:
    torch.backends.cudnn.allow_tf32 = True
    Bench(bench.config, CPU, CEILINGS, rounds=1)
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.slow
def test_only_what_the_ceilings_know_has_a_limit(bench: Bench) -> None:
    other = Bench(bench.config, CPU, CEILINGS, rounds=1)
    other.measure(Stage.SAMPLER, {way: (lambda: lambda: torch.ones(1)) for way in (Way.BF16, Way.FP8)}, 1e9)
    assert [row.limit for row in other.rows] == [0.25, None]


@pytest.mark.slow
def test_features_to_sound_depend_on_the_features(bench: Bench) -> None:
    whole = bench.ready[Stage.FEATURES_TO_SOUND, Way.FP32]
    first = whole().clone()
    assert first.shape == (1, 4, bench.config.latent_frames * bench.config.samples_per_latent)
    assert torch.equal(whole(), first)
    bench.inputs.features["video_fov"] += 1
    assert not torch.equal(whole(), first)
    bench.inputs.features["video_fov"] -= 1


@pytest.mark.slow
def test_a_record_comes_back_and_names_the_fastest(bench: Bench, tmp_path: Path) -> None:
    record = Record(machine(CPU, CEILINGS), tuple(bench.rows))
    record.write(tmp_path / "gpu.json")
    repeated = Record.read(tmp_path / "gpu.json")
    assert repeated == record
    assert repeated.fastest(Stage.VISION) is None
    fastest = repeated.fastest(Stage.SAMPLER)
    assert fastest is not None
    assert markdown(repeated).count("\n") > len(bench.rows)


def test_without_a_gpu_every_row_says_not_run() -> None:
    text = markdown(not_run("no GPU here"))
    assert text.count("not run: no GPU here") == sum(map(len, ROWS.values()))


class Graph:
    """In place of CUDA's: nothing is recorded, and what is done while it is captured is done at once."""

    def wait_stream(self, other: "Graph") -> None: ...

    def replay(self) -> None: ...


def test_a_graph_keeps_the_weights_that_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Stream", "current_stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, Graph)
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, lambda of: nullcontext())
    linear = nn.Linear(3, 2).requires_grad_(False)
    weights = weakref.ref(linear.weight)
    graph = captured(partial(linear, torch.ones(1, 3)))
    del linear
    assert weights() is not None
    assert graph().shape == (1, 2)


def test_fp8_keeps_two_digits() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 48), torch.randn(2, 16, 64, dtype=torch.bfloat16)
    with torch.no_grad():
        exact = linear(x.float())
        rounded = Fp8Linear(linear)(x).float()
    assert ((rounded - exact).norm() / exact.norm()).item() < 0.05


@pytest.mark.slow
def test_fp8_takes_the_layers_of_the_blocks_and_no_others(bench: Bench) -> None:
    from benchmarks.model import random_model  # noqa: PLC0415

    model = random_model(bench.config)
    to_fp8(model)
    found = [name for name, part in model.named_modules() if isinstance(part, Fp8Linear)]
    depth = bench.config.model.diffusion.config.depth
    assert len(found) == 4 * depth
    assert all(name.startswith("dit.transformer.layers.") for name in found)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", str(tmp_path / "out")]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 9
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
