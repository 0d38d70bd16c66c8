"""The demo's table and its comparison, on sound of which the answer is known."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from omniaudio import ambisonics

RATE = 8000


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """demo/run.py, which is a script and in no package."""
    path = Path(__file__).resolve().parents[2] / "demo" / "run.py"
    spec = importlib.util.spec_from_file_location("demo_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flight(directions: list[tuple[float, float]]) -> np.ndarray:
    """Noise from one direction (azimuth, elevation in degrees) after the other, a second each: (4, samples)."""
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.1
    return np.concatenate([ambisonics.encode(noise, *np.radians(way)) for way in directions], axis=1)


def made(seen: list[tuple[float, float]]) -> dict[str, object]:
    return {
        "seen": seen,
        "engine_bytes": 10**9,
        "render_seconds": 100.0,
        "generate_seconds": 20.0,
        "strips": {"master": ["demo AmbiX", 2, 1, 81]},
    }


def test_the_table_says_where_it_is_seen_and_heard(run: ModuleType) -> None:
    seen, heard = [(-90.0, 5.0), (30.0, 40.0), (110.0, 50.0)], [(-90.0, 5.0), (30.0, 10.0), (110.0, 50.0)]
    report = run.describe(made(seen), flight(heard), RATE, 0.0)
    rows = [line.split() for line in report.splitlines()[2:5]]
    assert [row[1:6] for row in rows] == [
        ["-90", "5", "-90", "5", "0°"],
        ["30", "40", "30", "10", "30°"],
        ["110", "50", "110", "50", "0°"],
    ]
    assert "20 s, 1.00 GB" in report
    assert "below 24 bit" in report


def test_a_mixdown_that_differs_is_found_and_its_tail_is_not_compared(run: ModuleType, tmp_path: Path) -> None:
    sound = flight([(0.0, 0.0)]).T
    mixdown = tmp_path / "mixdown.wav"
    tail = np.ones((500, 4), np.float32)
    soundfile.write(mixdown, np.concatenate([sound, tail]), RATE, subtype="FLOAT")
    assert run.compare(sound, mixdown) == 0.0
    other = sound.copy()
    other[100, 2] += 1e-3
    assert run.compare(other, mixdown) == pytest.approx(1e-3, rel=1e-3)
    soundfile.write(mixdown, sound[:-1], RATE, subtype="FLOAT")
    assert run.compare(sound, mixdown) == float("inf")
