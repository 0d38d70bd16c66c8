"""`omniaudio inspect CLIP --sources FILE`, with the shipped networks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from omniaudio import cli
from omniaudio.errors import UserError
from omniaudio.recognition.sources import Sources


def _still(folder: Path) -> Path:
    still = folder / "still.png"
    Image.fromarray(np.full((64, 128, 3), 120, np.uint8)).save(still)
    return still


def test_sources_are_printed_and_written(tmp_path: Path) -> None:
    target = tmp_path / "sources.json"
    result = CliRunner().invoke(cli.application(), ["inspect", str(_still(tmp_path)), "--sources", str(target)])
    assert result.exit_code == 0, result.output
    found = Sources.read(target)
    assert found.sources == ()  # a plain grey panorama
    assert found.bed is not None
    assert "bed" in result.output


def test_a_bad_target_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.application(), ["inspect", str(tmp_path / "clip.mp4"), "--sources", "sources.txt"])
    assert isinstance(result.exception, UserError)
    assert "sources.json" in str(result.exception)


def test_a_photograph_is_refused(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((100, 150, 3), 120, np.uint8)).save(photo)
    arguments = ["inspect", str(photo), "--sources", str(tmp_path / "sources.json")]
    result = CliRunner().invoke(cli.application(), arguments)
    assert isinstance(result.exception, UserError)
    assert "not a 360° panorama" in str(result.exception)


@pytest.mark.slow
def test_a_written_list_reads_back_the_same(tmp_path: Path) -> None:
    still, targets = _still(tmp_path), [tmp_path / f"{name}.json" for name in "ab"]
    for target in targets:
        CliRunner().invoke(cli.application(), ["inspect", str(still), "--sources", str(target)])
    assert targets[0].read_bytes() == targets[1].read_bytes()
