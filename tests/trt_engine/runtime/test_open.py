"""Which back-end is chosen, and what happens where one is missing or fails."""

import logging
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.pipeline import Generation, Settings
from omniaudio.model_zoo import registry
from omniaudio.sidecar import Sidecar
from omniaudio.video.stills import read_still
from support.released_form import models_in
from trt_engine.runtime import onnxruntime, openvino
from trt_engine.runtime.backends import AUTO, named
from trt_engine.runtime.open import candidates_for, open_pipeline
from trt_engine.runtime.session import threads
from trt_engine.runtime.spec import BackendSpec

WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


def candidates(model: registry.Model) -> tuple[str, ...]:
    return tuple(spec.name for spec in candidates_for(model))


def test_auto_is_the_fastest_that_is_here(model: registry.Model) -> None:
    """This machine may have a GPU, but a bundle as it is exported holds no engine for it."""
    assert candidates(model)[-2:] == ("onnxruntime", "openvino")
    assert open_pipeline(model, AUTO).backend == "onnxruntime"


def test_auto_falls_back_with_a_warning_and_to_the_same_model(
    model: registry.Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(graph: Path) -> None:
        raise RuntimeError("this CPU lacks an instruction")

    wanted = open_pipeline(model, "onnxruntime").identity
    monkeypatch.setattr(onnxruntime, "OnnxRuntimeSession", fail)
    with caplog.at_level(logging.WARNING):
        opened = open_pipeline(model, AUTO)
    assert opened.backend == "openvino"
    assert opened.identity == wanted
    assert "onnxruntime cannot open the model (this CPU lacks an instruction): using openvino" in caplog.text
    with pytest.raises(UserError, match="this CPU lacks an instruction") as raised:
        open_pipeline(model, "onnxruntime")
    assert raised.value.code is ExitCode.NO_BACKEND


def test_a_backend_that_is_not_installed(model: registry.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackendSpec, "installed", property(lambda spec: spec.name == "onnxruntime"))
    assert candidates(model) == ("onnxruntime",)
    with pytest.raises(UserError, match="pip install") as raised:
        named("openvino")
    assert raised.value.code is ExitCode.NO_BACKEND
    monkeypatch.setattr(BackendSpec, "installed", property(lambda spec: False))
    with pytest.raises(UserError, match="No back-end is installed"):
        candidates_for(model)


def test_a_large_model_is_openvinos_where_the_processor_has_bfloat16(
    model: registry.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)
    assert candidates(model)[-2:] == ("onnxruntime", "openvino")
    monkeypatch.setattr(openvino, "LARGE_BYTES", 1)
    assert candidates(model)[-2:] == ("openvino", "onnxruntime")
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: False)
    assert candidates(model)[-2:] == ("onnxruntime", "openvino")


@pytest.mark.parametrize(("value", "count"), [("3", 3), ("", None), ("0", None), ("many", None)])
def test_threads_are_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, value: str, count: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads() == count


@pytest.mark.parametrize("backend", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def test_generating_needs_no_torch(model: registry.Model, panorama: Path, tmp_path: Path, backend: str) -> None:
    """In a process where importing torch fails."""
    program = WITHOUT_TORCH + "from omniaudio.cli import main; main()"
    wanted = ["generate", panorama, "-o", tmp_path / "out.wav", "--duration", "1", "--model", model.folder]
    command = [sys.executable, "-c", program, *map(str, wanted), "--backend", backend, "--steps", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    versions = Sidecar.read(tmp_path / "out.json").versions
    assert versions[backend] == version(backend)
    assert {"onnxruntime", "openvino", "torch"} & versions.keys() == {backend}


def test_the_identity_is_the_same_on_every_backend(model: registry.Model) -> None:
    assert open_pipeline(model, "torch").identity == open_pipeline(model, "onnxruntime").identity


@pytest.mark.slow
def test_backends_agree_on_the_latents(joint: registry.Model, panorama: Path) -> None:
    """Through vision, conditions, two windows and the sampler."""
    frame = read_still(panorama)
    found = []
    for backend in ("onnxruntime", "openvino", "torch"):
        with models_in(joint.folder.parent):
            stages = open_pipeline(joint, backend)
        seconds = 1.5 * stages.config.duration
        generation = Generation(stages, seconds, Settings(seed=1, takes=1, steps=3, guidance=2.0), lambda report: None)
        generation.look(iter([frame] * 20))
        found.append(generation.sample())
        generation.close()
    for other in found[1:]:
        assert np.abs(other - found[0]).max() < 1e-3 * np.abs(found[0]).max()
