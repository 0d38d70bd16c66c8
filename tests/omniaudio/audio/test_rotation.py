"""A camera's field turned to the world's axes."""

import json
from itertools import pairwise
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy.spatial.transform import Rotation, Slerp

from omniaudio.audio.ambisonics import XYZ, Sound, W, encode, rotation_matrix
from omniaudio.audio.rotation import (
    MAX_BYTES,
    Orientation,
    RotationRequest,
    RotationSidecar,
    SoundRotator,
    read_orientations,
    rotate_to_world,
)
from omniaudio.errors import ExitCode, UserError
from omniaudio.progress import Report

RATE = 48_000
FPS = 24

components = arrays(float, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)
paths = st.lists(components, min_size=1, max_size=6)
"""Quaternions, not of length 1 yet."""


def orientations(quaternions: list[np.ndarray], step: float = 1 / FPS) -> tuple[Orientation, ...]:
    unit = [q / np.linalg.norm(q) for q in quaternions]
    return tuple(Orientation(seconds=i * step, w=w, x=x, y=y, z=z) for i, (w, x, y, z) in enumerate(unit))


def rotations_at(path: tuple[Orientation, ...], times: np.ndarray) -> Rotation:
    """The reference: SciPy's interpolation."""
    rotations = Rotation.from_quat([(o.w, o.x, o.y, o.z) for o in path], scalar_first=True)
    if len(path) == 1:
        return Rotation.concatenate([rotations] * len(times))
    seconds = [o.seconds for o in path]
    return Slerp(seconds, rotations)(times.clip(seconds[0], seconds[-1]))


def noise(samples: int, seed: int = 0) -> Sound:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (4, samples)).astype(np.float32)


@given(paths, components)
@settings(max_examples=50, deadline=None)
def test_a_source_that_is_fixed_in_the_world_becomes_still(path: list[np.ndarray], source: np.ndarray) -> None:
    """A moving camera records it from R⁻¹·v at each time; after rotation it comes from v throughout."""
    taken, samples = orientations(path), RATE // 4
    still = source[1:] if np.linalg.norm(source[1:]) > 0.1 else np.array([1.0, 0, 0])
    still = still / np.linalg.norm(still)
    times = np.arange(samples) / RATE
    seen = rotations_at(taken, times).inv().apply(still)
    signal = np.sin(2 * np.pi * 440 * times)
    recorded = np.zeros((4, samples), np.float32)
    recorded[W], recorded[XYZ, :] = signal, (signal[:, None] * seen).T
    rotated = SoundRotator(taken, RATE).process(recorded)
    np.testing.assert_array_equal(rotated[W], recorded[W])
    np.testing.assert_allclose(rotated[XYZ, :], np.outer(still, signal), atol=2e-6)


@given(paths)
@settings(max_examples=30, deadline=None)
def test_rotating_there_and_back_restores_the_sound(path: list[np.ndarray]) -> None:
    sound, there = noise(RATE // 4), orientations(path)
    back = orientations([q * (1, -1, -1, -1) for q in path])
    np.testing.assert_allclose(
        SoundRotator(back, RATE).process(SoundRotator(there, RATE).process(sound)), sound, atol=2e-7
    )


@given(paths, st.integers(100, 3000))
@settings(max_examples=20, deadline=None)
def test_blocks_do_not_show(path: list[np.ndarray], size: int) -> None:
    sound, taken = noise(3_000), orientations(path)
    rotator = SoundRotator(taken, RATE)
    blocks = [rotator.process(sound[:, start : start + size]) for start in range(0, 3_000, size)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), SoundRotator(taken, RATE).process(sound))


def test_no_clicks() -> None:
    """A steady tone through a camera that jerks: no step between samples is larger than tone and turn can make."""
    angles = [0, 40, -170, 30, 180, 5, 90]
    path = tuple(
        Orientation(seconds=i / FPS, w=cos(radians(a) / 2), x=0, y=0, z=sin(radians(a) / 2))
        for i, a in enumerate(angles)
    )
    times = np.arange(RATE // 2) / RATE
    frequency, level = 100.0, 0.5
    rotated = SoundRotator(path, RATE).process(encode(level * np.cos(2 * np.pi * frequency * times), 0.3, 0.1))
    fastest = max(radians(min(abs(b - a), 360 - abs(b - a))) * FPS for a, b in pairwise(angles))
    assert np.abs(np.diff(rotated, axis=1)).max() < 1.01 * level * (2 * np.pi * frequency + fastest) / RATE


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(90, 0, 0), (0, 30, 0), (0, 0, -45), (-120, 20, 10)])
def test_what_is_before_the_camera_comes_from_where_it_points(yaw: float, pitch: float, roll: float) -> None:
    matrix = rotation_matrix(*np.radians([yaw, pitch, roll]))
    w, x, y, z = Rotation.from_matrix(matrix).as_quat(scalar_first=True)
    path = (Orientation(seconds=0, w=w, x=x, y=y, z=z),)
    rotated = SoundRotator(path, RATE).process(encode(np.ones(10, np.float32), 0.0, 0.0))
    np.testing.assert_allclose(rotated, encode(np.ones(10, np.float32), np.radians(yaw), np.radians(pitch)), atol=1e-6)


def test_files(tmp_path: Path) -> None:
    sound = noise(RATE)
    soundfile.write(tmp_path / "camera.wav", sound.T, RATE, subtype="PCM_24")
    quarter = orientations([np.array([1, 0, 0, 1.0])])
    reports: list[Report] = []
    request = RotationRequest(sound=tmp_path / "camera.wav", output=tmp_path / "world.wav", orientations=quarter)
    made = rotate_to_world(request, reports.append)
    assert (made.rate, made.samples) == (RATE, RATE)
    rotated, rate = soundfile.read(made.sound, always_2d=True)
    w, y, z, x = soundfile.read(tmp_path / "camera.wav")[0].T
    gain = 10 ** (made.gain_db / 20)
    np.testing.assert_allclose(rotated.T / gain, [w, x, z, -y], atol=2**-22)
    assert rate == RATE
    assert soundfile.info(made.preview).frames == RATE
    sidecar = RotationSidecar.model_validate_json(made.sidecar.read_bytes())
    assert (sidecar.input, sidecar.orientations) == ("camera.wav", quarter)
    assert reports[-1].fraction == 1
    assert [file.name for file in sorted(tmp_path.iterdir())] == [
        "camera.wav", "world.json", "world.preview.wav", "world.wav"
    ]  # fmt: skip


def test_a_cancelled_rotation_leaves_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "camera.wav", noise(RATE).T, RATE, subtype="PCM_24")

    def cancel(report: Report) -> None:
        if report.fraction > 0:
            raise KeyboardInterrupt

    path = orientations([np.array([1.0, 0, 0, 0])])
    request = RotationRequest(sound=tmp_path / "camera.wav", output=tmp_path / "world.wav", orientations=path)
    with pytest.raises(KeyboardInterrupt):
        rotate_to_world(request, cancel)
    assert [file.name for file in tmp_path.iterdir()] == ["camera.wav"]


@pytest.mark.parametrize(
    "fault",
    [
        [],
        [{"seconds": 0, "w": 2, "x": 0, "y": 0, "z": 0}],
        [{"seconds": 0, "w": float("nan"), "x": 0, "y": 0, "z": 0}],
        [{"seconds": s, "w": 1, "x": 0, "y": 0, "z": 0} for s in (1, 1)],
    ],
)
def test_orientations_that_are_none(fault: list[dict[str, float]]) -> None:
    with pytest.raises(ValidationError):
        RotationRequest.model_validate({"sound": "a.wav", "output": "b.wav", "orientations": fault})


def test_orientations_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "camera.json"
    file.write_text(json.dumps([{"seconds": 0.5, "w": 1, "x": 0, "y": 0, "z": 0}]))
    assert read_orientations(file) == (Orientation(seconds=0.5, w=1, x=0, y=0, z=0),)
    for text in ("", "{}", '[{"seconds": 0}]', '[{"seconds": 0, "w": 3, "x": 0, "y": 0, "z": 0}]'):
        file.write_text(text)
        with pytest.raises(UserError, match="give a JSON list") as caught:
            read_orientations(file)
        assert caught.value.code is ExitCode.NO_INPUT
    with pytest.raises(UserError, match="check the path"):
        read_orientations(tmp_path / "none.json")


def test_orientations_without_a_course_are_one_message(tmp_path: Path) -> None:
    """Not a listing of them all."""
    still = {"w": 1, "x": 0, "y": 0, "z": 0}
    file = tmp_path / "path.json"
    for seconds, fault in (([], "at least 1"), ([1, 0], "ascend"), ([0, 0], "ascend")):
        file.write_text(json.dumps([{"seconds": time, **still} for time in seconds]))
        with pytest.raises(UserError, match=fault) as caught:
            read_orientations(file)
        assert len(caught.value.message) < 200


def test_a_file_too_large_for_orientations_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "path.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UserError, match="larger than"):
        read_orientations(tmp_path / "path.json")
