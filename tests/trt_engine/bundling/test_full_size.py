"""The released model's size with random weights, compiled by TensorRT-RTX: minutes, most of them exporting.

Each part runs in a process of its own, whose peak of memory is what Linux says of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.paths import REPOSITORY

pytest.importorskip("tensorrt_rtx")
pytest.importorskip("torch")
pytest.importorskip("transformers")


def memory() -> float:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if sys.platform == "linux" else 0.0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(memory() < 20e9, reason="needs Linux, which tells the memory used, and 20 GB: tests run beside"),
]

STAGES = ("velocity", "decoder")
MAX_SECONDS, MAX_BYTES = 60, 10e9
"""Of compiling a stage, in the time that processors spent."""

SAY = """
import gc, json, re, sys, time
from pathlib import Path
def say(**values):
    peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(json.dumps(values | {"peak": peak}))
"""
EXPORT = """
# All weights at their size, but 2 s instead of 10 s as what graphs are traced and compared with torch at: what is
# compiled is for any length.
from benchmarks.model import RELEASED
from benchmarks.prepare import write_model
from trt_engine.bundling.export import export_model
began = time.monotonic()
short = Path(sys.argv[1]) / "short.json"
short.write_text(json.dumps(json.loads(RELEASED.read_bytes()) | {"sample_size": 40 * 2048}))
class Enough(Exception): pass
def stop(stage):
    if stage == "decoder":
        raise Enough
try:
    export_model(write_model(short, Path(sys.argv[1])), stop)
except Enough:
    say(seconds=time.monotonic() - began)
"""
COMPILE = """
from benchmarks.model import RELEASED
from omniaudio.config import load_config
from trt_engine.compile.bundle import Bundle, Stage
from trt_engine.compile.compiler import Job, compile_graph
from trt_engine.bundling.export import UNFINISHED
from trt_engine.graphs.precision import write_lowered
from trt_engine.compile.profiles import Limits, profile
from trt_engine.compile.targets import Flavour, Precision
folder, stage = Path(sys.argv[1]) / "omniaudio-random", Stage(sys.argv[2])
graph = Bundle.model_validate_json((folder / UNFINISHED).read_bytes()).graphs[stage]
sizes = profile(stage, graph, load_config(RELEASED), Limits())
lowered, engine = folder / f"{stage}.fp16.onnx", folder / f"{stage}.engine"
began = time.monotonic()
write_lowered(folder / graph.file, lowered, Precision.FP16, stage)
lowering = time.monotonic() - began
gc.collect()  # the constants' files stay mapped until then; `omniaudio build` compiles in a process of its own
between = time.process_time()  # other tests run beside
outputs = tuple(tensor.name for tensor in graph.outputs)
compile_graph(Job(Flavour.TENSORRT_RTX, lowered, (75, 86, 89, 120), sizes, outputs), engine)
say(lowering=lowering, seconds=time.process_time() - between, size=engine.stat().st_size)
"""


def measured(program: str, *arguments: str, models: Path) -> dict[str, Any]:
    """What a program says of its course."""
    done = subprocess.run(
        [sys.executable, "-c", SAY + program, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"OMNIAUDIO_MODELS": str(models)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(arguments[1:], said)
    return said


def test_the_full_size_compiles_in_a_minute_and_in_10_gb(tmp_path: Path) -> None:
    measured(EXPORT, str(tmp_path), models=tmp_path)
    for stage in STAGES:
        said = measured(COMPILE, str(tmp_path), stage, models=tmp_path)
        assert said["seconds"] < MAX_SECONDS
        assert said["peak"] < MAX_BYTES
