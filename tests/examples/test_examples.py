"""Each script in `examples/` runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.panorama_clip import write_clip

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, EXAMPLES / name, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_all_are_tested() -> None:
    tested = {"generate.py", "batch_folder.py", "rotate.py", "own_backend.py"}
    assert {file.name for file in EXAMPLES.glob("*.py")} == tested


def test_generate(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    done = run("generate.py", tmp_path, "clip.mp4", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "4 channels" in done.stdout
    assert (tmp_path / "clip.ambix.wav").is_file()
    failed = run("generate.py", tmp_path, "none.mp4")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "There is no file none.mp4; check the path."


def test_batch_folder(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "a.mp4", frames=3)
    (clips / "b.mp4").write_text("not a readable video")
    write_clip(clips / "c.mp4", frames=3)
    done = run("batch_folder.py", tmp_path, "clips", "sounds")
    assert done.returncode == 1
    assert "b.mp4" in done.stderr
    assert done.stdout.split() == [str(Path("sounds", f"{name}.ambix.wav")) for name in "ac"]
    assert run("batch_folder.py", tmp_path, "clips", "sounds").stdout == ""  # finished clips are skipped


def test_rotate(tmp_path: Path) -> None:
    """A source in front of a camera that turns left by 90° in a second ends up on the left."""
    rate = 8000
    front = np.ones((rate, 4)) * [0.2, 0.0, 0.0, 0.2]
    soundfile.write(tmp_path / "camera.wav", front, rate, "PCM_24")
    done = run("rotate.py", tmp_path, "camera.wav", "world.wav", "--degrees-per-second", "90")
    assert done.returncode == 0, done.stderr
    world, _ = soundfile.read(tmp_path / "world.wav")
    assert world[0] == pytest.approx([0.2, 0.0, 0.0, 0.2], abs=1e-3)
    assert world[-1] == pytest.approx([0.2, 0.2, 0.0, 0.0], abs=1e-3)


def test_own_backend(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", frames=3)
    done = run("own_backend.py", tmp_path, "clip.mp4")
    assert done.returncode == 0, done.stderr
    assert "velocity:" in done.stdout
    assert done.stdout.splitlines()[-1] == "clip.ambix.wav, on timed"
