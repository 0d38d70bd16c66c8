"""Every code block of `docs/api.md` runs, one after the other, beside a clip."""

import re
from pathlib import Path
from typing import Any

import pytest

from support.panorama_clip import write_clip

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(Path("clip.mp4"))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    variables: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), variables)
    assert variables["foa"].shape == (4, variables["result"].takes[0].samples)
    assert {file.name for file in tmp_path.glob("*.wav")} >= {
        "clip.ambix.wav",
        "other.wav",
        "other.take2.wav",
        "louder.wav",
        "headphones.wav",
    }
    assert (tmp_path / "spatial.mov").is_file()
