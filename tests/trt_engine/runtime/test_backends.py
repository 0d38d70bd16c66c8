"""What `omniaudio backends` says of the back-ends that are here, that are not, and that are broken."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trt_engine.runtime.backends import presence
from trt_engine.runtime.session import Backend
from trt_engine.runtime.tensorrt import device

RUN = [sys.executable, "-m", "omniaudio.cli", "backends"]


@pytest.mark.slow
def test_the_table_names_every_back_end() -> None:
    done = subprocess.run(RUN, capture_output=True, text=True, timeout=120, check=True)
    for backend in Backend:
        assert backend in done.stdout


@pytest.mark.slow
def test_the_list_is_json_and_says_what_helps() -> None:
    done = subprocess.run([*RUN, "--json"], capture_output=True, text=True, timeout=120, check=True)
    found = {one["backend"]: one for one in json.loads(done.stdout)}
    assert set(found) == set(Backend)
    assert found["onnxruntime"]["usable"]
    assert found["onnxruntime"]["device"] == "CPU"
    for one in found.values():
        assert one["usable"] == (one["hindrance"] is None)
        assert one["usable"] == (one["device"] is not None)


def test_what_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backend, "installed", property(lambda backend: False))
    for backend in Backend:
        found = presence(backend)
        assert not found.usable
        assert found.hindrance is not None
        assert "pip install" in found.hindrance


@pytest.mark.parametrize("backend", [Backend.TENSORRT, Backend.OPENVINO, Backend.TORCH])
def test_a_package_that_lacks_a_library_is_a_sentence(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As TensorRT is without the wheel of its libraries."""
    (tmp_path / f"{backend.module}.py").write_text("raise ImportError('libsomething.so.11: cannot open')")
    for name in [name for name in sys.modules if name.partition(".")[0] == backend.module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    found = presence(backend)
    assert not found.usable
    assert found.hindrance is not None
    assert "libsomething.so.11: cannot open" in found.hindrance
    assert "install" in found.hindrance


def test_a_card_that_tensorrt_rtx_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr(device.Device, "__init__", lambda self: vars(self).update(name="H200", architecture=90))
    found = presence(Backend.TENSORRT_RTX)
    assert not found.usable
    assert found.hindrance == ("H200 (Hopper) is none of TensorRT-RTX's cards: use --backend tensorrt or torch.")
    monkeypatch.setattr(device.Device, "__init__", lambda self: vars(self).update(name="RTX 4090", architecture=89))
    assert presence(Backend.TENSORRT_RTX).device == "RTX 4090, architecture 89"
