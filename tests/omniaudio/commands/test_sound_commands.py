"""The commands binaural, rotate, map and export."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from omniaudio.errors import ExitCode
from support.command_line import Outcome, omniaudio

RATE = 48_000
Command = Callable[..., Outcome]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with a still and a sound."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("foa.wav", np.random.default_rng(0).uniform(-0.2, 0.2, (RATE // 4, 4)), RATE, "PCM_24")
    soundfile.write("slow.wav", np.zeros((50, 4)), 50)
    Image.fromarray(np.full((64, 128, 3), 90, np.uint8)).save("still.png")
    Path("camera.json").write_text('[{"seconds": 0, "w": 1, "x": 0, "y": 0, "z": 0}]')
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return partial(omniaudio, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["binaural", "foa.wav", "-o", "ears.wav", "--yaw", 30], {"ears.wav"}),
        (["rotate", "foa.wav", "camera.json", "-o", "w.wav"], {"w.wav", "w.preview.wav", "w.json"}),
        (["rotate", "foa.wav", "camera.json", "-o", "w.wav", "--no-preview"], {"w.wav", "w.json"}),
        (["map", "still.png", "foa.wav", "-o", "map.mp4"], {"map.mp4"}),
        (["export", "still.png", "foa.wav", "-o", "video.mov"], {"video.mov"}),
        (["export", "still.png", "foa.wav", "-o", "video.mp4", "--codec", "opus"], {"video.mp4"}),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_files_are_made(files: Path, run: Command, words: list[object], made: set[str], as_json: bool) -> None:
    before = {file.name for file in files.iterdir()}
    outcome = run(*words, *(["--json"] if as_json else []))
    assert outcome.code == 0
    assert {file.name for file in files.iterdir()} - before == made
    if as_json:
        events = [json.loads(line) for line in outcome.out.splitlines()]
        assert [event["event"] for event in events][-2:] == ["progress", "done"]
        assert events[-2]["fraction"] == 1
        assert events[-1].get("path", events[-1].get("sound")) in made
    else:
        assert str(words[words.index("-o") + 1]) in outcome.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["binaural", "none.wav", "-o", "ears.wav"], ExitCode.NO_INPUT, "There is no file none.wav"),
        (["binaural", "slow.wav", "-o", "ears.wav"], ExitCode.NO_INPUT, "sampling rate of 50 Hz"),
        (["binaural", "foa.wav", "-o", "foa.wav"], ExitCode.NOT_WRITABLE, "is also the input"),
        (["binaural", "foa.wav", "-o", "e.wav", "--yaw", "nan"], ExitCode.FAILED, "--yaw cannot be nan"),
        (["rotate", "foa.wav", "foa.wav", "-o", "w.wav"], ExitCode.NO_INPUT, "holds no orientations"),
        (
            ["rotate", "foa.wav", "camera.json", "-o", "camera.wav"],
            ExitCode.NOT_WRITABLE,
            "camera.json is also the input",
        ),
        (["binaural", "foa.wav", "-o", f"{'a' * 300}.wav"], ExitCode.NOT_WRITABLE, "too long"),
        (["export", "still.png", "foa.wav", "-o", "video.mp4"], ExitCode.NOT_WRITABLE, "use video.mov"),
        (["export", "still.png", "foa.wav", "-o", "f.mov", "--stereo", "x"], ExitCode.FAILED, "--stereo cannot be x"),
        (["map", "still.png", "foa.wav", "-o", "m.mp4", "--clip-start", -1], ExitCode.FAILED, "--clip-start"),
    ],
)
def test_what_cannot_be_done_is_a_message(
    files: Path, run: Command, words: list[object], code: ExitCode, message: str
) -> None:
    before = sorted(files.iterdir())
    outcome = run(*words)
    assert outcome.code == code
    assert message in outcome.err
    assert sorted(files.iterdir()) == before
