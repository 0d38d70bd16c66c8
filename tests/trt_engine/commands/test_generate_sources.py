"""`omniaudio generate --sources`: a list that a person has changed, taken back; what is wrong with one, named."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soundfile

from omniaudio.errors import ExitCode
from omniaudio.model_zoo import registry
from support.command_line import Outcome, omniaudio

Run = Callable[..., Outcome]
DOG: dict[str, Any] = {"kind": "dog", "path": [{"time": 0, "azimuth": 90, "elevation": 0}]}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process."""
    command = partial(omniaudio, monkeypatch, capsys, "generate")
    return lambda *words: command(*words, "--no-map", "--no-preview", "--force", "--duration", "2.6")


def listed(folder: Path, *sources: dict[str, Any], bed: str | None = None) -> Path:
    """`sources.json` with these in it."""
    file = folder / "sources.json"
    file.write_text(json.dumps({"seconds": 3, "sources": sources, "bed": bed and {"kind": bed}}), "utf-8")
    return file


def test_what_was_detected_and_changed_is_generated(
    run: Run, panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "sources.json", tmp_path / "out.wav"
    assert omniaudio(monkeypatch, capsys, "inspect", panorama, "--sources", file).code == 0
    found = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(found | {"sources": [DOG], "bed": {"kind": "rain", "gain": -6}}), "utf-8")
    outcome = run(panorama, "-o", out, "--sources", file, "--stems", "--order", "2", "--model", "draft")
    assert outcome.code == 0, outcome.err
    assert soundfile.info(out).channels == 9
    assert sorted(path.name for path in tmp_path.glob("*.stem-*.wav")) == [
        "out.stem-1-dog.wav",
        "out.stem-bed-rain.wav",
    ]
    assert "out.stem-1-dog.wav" in outcome.out
    assert json.loads((tmp_path / "out.json").read_text())["sources"]["sources"][0]["kind"] == "dog"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (DOG | {"kind": "dgo"}, "source 1, kind: there is no kind “dgo”; did you mean “dog”?"),
        (DOG | {"gain": 99}, "source 1, gain"),
        (DOG | {"path": []}, "source 1, path"),
        (DOG | {"loud": True}, "source 1, loud: there is no such field; remove it"),
    ],
)
def test_a_bad_entry_is_named_and_nothing_is_written(
    run: Run, panorama: Path, tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    outcome = run(panorama, "-o", tmp_path / "out.wav", "--sources", listed(tmp_path, entry), "--model", "draft")
    assert outcome.code == ExitCode.NO_INPUT
    assert message in " ".join(outcome.err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["sources.json"]


@pytest.mark.parametrize("words", [["--stems"], ["--order", "2"], ["--sources", "LIST"]])
def test_a_model_of_everything_at_once_refuses_sources(
    run: Run, joint: registry.Model, panorama: Path, tmp_path: Path, words: list[str]
) -> None:
    given = [listed(tmp_path, DOG) if word == "LIST" else word for word in words]
    outcome = run(panorama, "-o", tmp_path / "out.wav", *given, "--model", joint.folder)
    assert outcome.code == ExitCode.BAD_RANGE
    assert "all sources at once" in outcome.err
    assert not (tmp_path / "out.wav").exists()


def test_a_sidecar_keeps_its_own_sources(run: Run, panorama: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "out.wav", listed(tmp_path, DOG)
    assert run(panorama, "-o", out, "--sources", file, "--model", "draft").code == 0
    outcome = run("--reproduce", tmp_path / "out.json", "--sources", file)
    assert outcome.code != 0
    assert "leave out" in outcome.err
    assert "--sources" in outcome.err
