"""What is kept of the back-ends that a service has named."""

from pathlib import Path

import pytest

from blender_addon.service.known_backends import keep, kept
from omniaudio_client.records import Backend

CPU = Backend("onnxruntime", "ONNX Runtime", True, "any processor", "CPU", {"onnxruntime": "1.32"}, None)
ABSENT = Backend("torch", "PyTorch", False, "any processor", None, {}, "It is not installed.")


def test_they_are_read_as_they_were_named(tmp_path: Path) -> None:
    assert kept(tmp_path / "service") == ()
    keep(tmp_path / "service", (CPU, ABSENT))
    assert kept(tmp_path / "service") == (CPU, ABSENT)


@pytest.mark.parametrize("content", ["", "[", "{}", "[3]", '[{"name": "a"}]', '[{"other": 1}]', "\x00", "3"])
def test_another_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "backends.json").write_text(content)
    assert kept(tmp_path) == ()
