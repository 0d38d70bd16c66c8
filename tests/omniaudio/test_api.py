"""The functions of the package `omniaudio`; `docs/api.md` and `examples/` show their use and are run elsewhere."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import omniaudio
from omniaudio import api
from omniaudio.errors import ExitCode, UserError
from omniaudio.progress import Report
from omniaudio_client.options import GenerationOptions
from support.panorama_clip import write_clip


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = "import sys, omniaudio; print({'numpy', 'pydantic', 'omniaudio.api'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_package_names_its_functions() -> None:
    assert set(omniaudio.__all__) <= set(dir(omniaudio))
    for name in omniaudio.__all__:
        assert getattr(omniaudio, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="no attribute 'listen'"):
        omniaudio.listen  # noqa: B018


def test_a_progress_callback_cancels(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)

    def cancel(step: Report) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        omniaudio.generate(str(clip), progress=cancel)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_one_model_for_several_calls_and_sources_from_a_file(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    model = omniaudio.open_model("draft", "onnxruntime")
    quick = GenerationOptions(takes=3, preview=False, map=False)
    first = omniaudio.generate(clip, options=quick, model=model, takes=2)
    assert (first.model, first.backend, len(first.takes)) == ("draft", "onnxruntime", 2)
    assert first.read(2).dtype == np.float32
    found = first.sources()
    assert found is not None
    found.write(tmp_path / "sources.json")
    repeated = omniaudio.generate(
        clip, tmp_path / "again.wav", options=quick, model=model, takes=2, sources=tmp_path / "sources.json"
    )
    np.testing.assert_array_equal(repeated.read(), first.read())


def test_bad_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "foa.wav", np.zeros((100, 4)), 48_000)
    with pytest.raises(ValueError, match="takes"):
        omniaudio.generate("clip.mp4", takes=0)
    with pytest.raises(ValueError, match="yaw"):
        omniaudio.binaural(tmp_path / "foa.wav", tmp_path / "ears.wav", yaw=float("nan"))
    with pytest.raises(UserError, match=r"none\.wav"):
        omniaudio.inspect(tmp_path / "none.wav")
    monkeypatch.setattr(api, "entry_points", lambda group: [])
    with pytest.raises(UserError, match="No package that runs models") as caught:
        omniaudio.open_model("draft")
    assert caught.value.code == ExitCode.NO_BACKEND
