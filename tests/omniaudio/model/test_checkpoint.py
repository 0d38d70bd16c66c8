import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from omniaudio.errors import UserError
from omniaudio.model.checkpoint import find_weights, load_model, read_tensors, save_weights
from omniaudio.model.omniaudio import OmniAudio
from support.small_model import checkpoint_tensors, config, numbers

TO_OUT = "diffusion.model.model.transformer.layers.0.self_attn.to_out.weight"
EXTRA = "diffusion.model.model.surplus"


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return checkpoint_tensors(config())


def _velocity_and_sound(model: OmniAudio) -> torch.Tensor:
    with torch.inference_mode():
        velocity = model.velocity(numbers("x", (1, 8, 6)), torch.tensor([0.5]), {})
        return torch.cat((velocity.flatten(), model.decode(velocity).flatten()))


def test_ckpt_and_safetensors_give_the_same_model(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({"state_dict": tensors}, tmp_path / "model.ckpt")
    save_file(tensors, tmp_path / "model.safetensors")
    first, second = (load_model(config(), tmp_path / name) for name in ("model.ckpt", "model.safetensors"))
    assert torch.equal(_velocity_and_sound(first), _velocity_and_sound(second))
    assert not first.training


def test_round_trip_keeps_names_shapes_weights_and_what_is_never_used(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    save_file(tensors, tmp_path / "first.safetensors")
    model = load_model(config(), tmp_path / "first.safetensors")
    save_weights(model, tmp_path / "second.safetensors")
    saved = read_tensors(tmp_path / "second.safetensors")
    assert {name: tensor.shape for name, tensor in saved.items()} == {n: t.shape for n, t in tensors.items()}
    for name, tensor in saved.items():
        # Of a weight-normalised pair, length and direction may trade a factor; the weight they fold to may not change.
        if not name.endswith(("weight_g", "weight_v")):
            assert torch.equal(tensor, tensors[name]), name
    reloaded = load_model(config(), tmp_path / "second.safetensors")
    for name, tensor in reloaded.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-6, atol=1e-7)
    assert any("cross_attn" in name for name in saved)


def test_half_precision_weights_become_float32(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file({name: tensor.half() for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    model = load_model(config(), tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}


def test_missing_extra_and_misshapen_tensors_are_all_named(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    wrong = dict(tensors)
    gone = [name for name in wrong if name.endswith("layers.0.bias")]
    for name in gone:
        del wrong[name]
    wrong[EXTRA] = torch.zeros(3)
    wrong[TO_OUT] = torch.zeros(2, 64)
    save_file(wrong, tmp_path / "model.safetensors")
    with pytest.raises(UserError) as caught:
        load_model(config(), tmp_path / "model.safetensors")
    assert len(gone) == 2
    for name in gone:
        assert f"missing {name}" in caught.value.message
    assert f"extra {EXTRA} [3]" in caught.value.message
    assert f"misshapen {TO_OUT} [2, 64], expected [64, 64]" in caught.value.message
    assert "4 tensors differ" in caught.value.message


class _Malicious:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_checkpoint_that_would_run_code_is_refused_and_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "extra": _Malicious(trap)}, tmp_path / "model.ckpt")
    with pytest.raises(UserError, match="more than tensors"):
        read_tensors(tmp_path / "model.ckpt")
    assert not trap.exists()
    # The trap is a real one: read without care, the file springs it.
    torch.load(tmp_path / "model.ckpt", weights_only=False)
    assert trap.is_dir()


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors"])
@pytest.mark.parametrize("kept", [0, 100, 0.9])
def test_a_file_that_is_cut_short_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], name: str, kept: float
) -> None:
    path = tmp_path / name
    if path.suffix == ".ckpt":
        torch.save({"state_dict": tensors}, path)
    else:
        save_file(tensors, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(UserError, match="not a readable weights file"):
        read_tensors(path)


def test_a_file_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    torch.save({"step": 3, "loss": 0.1}, tmp_path / "model.ckpt")
    with pytest.raises(UserError, match="does not contain a model's tensors"):
        read_tensors(tmp_path / "model.ckpt")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither model\.safetensors nor model\.ckpt"):
        find_weights(tmp_path)
    with pytest.raises(UserError, match="no weights at"):
        read_tensors(tmp_path / "model.ckpt")


def test_an_interrupted_save_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"older")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("omniaudio.model.checkpoint.save_file", full_disk)
    with pytest.raises(UserError, match="No space left"):
        save_weights(OmniAudio(config()), path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    assert path.read_bytes() == b"older"
