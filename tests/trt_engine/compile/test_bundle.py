"""What is said of a bundle that is not whole."""

import shutil
from pathlib import Path

import pytest

from omniaudio.errors import ExitCode, UserError
from omniaudio.model_zoo import registry
from trt_engine.compile import bundle
from trt_engine.compile.bundle import BUNDLE_FILE


@pytest.fixture
def copy(model: registry.Model, tmp_path: Path) -> Path:
    shutil.copytree(model.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "decoder.onnx").unlink()
    with pytest.raises(UserError, match=r"decoder\.onnx is missing") as raised:
        bundle.load(copy)
    assert raised.value.code is ExitCode.NO_MODEL


def test_a_file_that_was_cut_is_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"model\.safetensors has \d+ bytes instead of"):
        bundle.load(copy)


def test_a_changed_byte_is_found_by_the_hash(copy: Path) -> None:
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    bundle.load(copy)
    with pytest.raises(UserError, match=r"model\.safetensors is not what was written"):
        bundle.verify(copy)


@pytest.mark.parametrize("content", ["", "{", '{"format": 2}'])
def test_a_bundle_file_that_is_half_written_or_newer(copy: Path, content: str) -> None:
    (copy / BUNDLE_FILE).write_text(content)
    with pytest.raises(UserError, match="damaged or of another version"):
        bundle.load(copy)


@pytest.mark.parametrize(
    "name", ["../decoder.onnx", "/etc/passwd", "engines/../../x", "C:decoder.onnx", "a\\\\b", ".."]
)
def test_a_bundle_names_no_file_outside_its_folder(copy: Path, name: str) -> None:
    text = (copy / BUNDLE_FILE).read_text("utf-8")
    assert '"decoder.onnx"' in text
    (copy / BUNDLE_FILE).write_text(text.replace('"decoder.onnx"', f'"{name}"'), "utf-8")
    with pytest.raises(UserError, match="damaged or of another version"):
        bundle.load(copy)


def test_a_folder_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"omniaudio build --model .* --target cpu"):
        bundle.load(tmp_path)
