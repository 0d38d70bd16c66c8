"""The demo's table and its comparison, on sound of which the answer is known."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from omniaudio.audio import ambisonics
from omniaudio.recognition.sources import Bed, Place, Source, Sources
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions
from support.paths import REPOSITORY

RATE = 8000


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """demo/run.py, which is a script and in no package."""
    path = REPOSITORY / "demo" / "run.py"
    spec = importlib.util.spec_from_file_location("demo_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32) * 0.1


def stem(folder: Path, name: str, azimuth: float) -> None:
    """Three seconds of noise from an azimuth in degrees."""
    soundfile.write(folder / name, ambisonics.encode(noise(), np.radians(azimuth), 0.0).T, RATE, subtype="FLOAT")


def made(*sources: tuple[str, float]) -> dict[str, object]:
    return {
        "seen": [{"kind": kind, "directions": [(azimuth, 0.0)] * 3} for kind, azimuth in sources],
        "service_bytes": 10**9,
        "render_seconds": 100.0,
        "generate_seconds": 20.0,
        "strips": {"master": ["demo AmbiX", 2, 1, 81]},
    }


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """A take of a dog on the left, taken for a cat, whose stem is 10° off, and of a bird; its sidecar and stems."""
    sources = tuple(
        Source(kind=kind, confidence=0.8, path=(Place(time=0, azimuth=azimuth, elevation=0),))
        for kind, azimuth in (("cat", 95), ("bird", -60))
    )
    stem(tmp_path, "take.stem-1-cat.wav", 100)
    stem(tmp_path, "take.stem-2-bird.wav", -60)
    Sidecar(
        model_sha256="0" * 64,
        options=GenerationOptions(model="draft", backend="onnxruntime", seed=0, steps=1, guidance=1.0),
        start=0.0,
        duration=3.0,
        rate=8000,
        input="clip.mp4",
        input_sha256="1" * 64,
        gain_db=0.0,
        true_peak_dbtp=-3.0,
        sources=Sources(seconds=3, sources=sources, bed=Bed(kind="rain")),
    ).write(tmp_path / "take.json")
    return tmp_path / "take.wav"


def test_the_table_lists_what_was_recognised_for_each_source_and_where_it_sounds(run: ModuleType, master: Path) -> None:
    report = run.describe(made(("dog", 90.0), ("bird", -60.0), ("car", 180.0)), master, 0.0, None)
    dog, bird, car, bed = report.splitlines()[1:5]
    assert dog.split()[:4] == ["dog", "Cat", "80%", "10°"]
    assert bird.split()[:4] == ["bird", "Bird", "80%", "0°"]
    assert "not at hand" in dog
    assert car.split() == ["car", "nothing"]
    assert bed.split()[:2] == ["around", "Rain"]
    assert "20 s, 1.00 GB" in report
    assert "below 24 bit" in report


def test_a_mixdown_that_differs_is_found_and_its_tail_is_not_compared(run: ModuleType, tmp_path: Path) -> None:
    sound = ambisonics.encode(noise(), 0.0, 0.0).T
    mixdown = tmp_path / "mixdown.wav"
    tail = np.ones((500, 4), np.float32)
    soundfile.write(mixdown, np.concatenate([sound, tail]), RATE, subtype="FLOAT")
    assert run.compare(sound, mixdown) == 0.0
    other = sound.copy()
    other[100, 2] += 1e-3
    assert run.compare(other, mixdown) == pytest.approx(1e-3, rel=1e-3)
    soundfile.write(mixdown, sound[:-1], RATE, subtype="FLOAT")
    assert run.compare(sound, mixdown) == float("inf")
