"""The model against the released code.

`released.safetensors` holds what the released code (liuhuadai/OmniAudio at 4a3c99d) computed in float32 on a CPU for
weights and inputs made by `small_model.numbers` of their names.
"""

import gzip
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omniaudio.config import load_config
from omniaudio.errors import UserError
from omniaudio.model.checkpoint import check_tensors, load_model, released_tensors
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model.parity import relative_errors
from omniaudio.model_zoo.registry import PACKAGED
from support.paths import DATA
from support.small_model import checkpoint_tensors, config, numbers

LATENT_FRAMES = 12

CASES = {
    "prepend": {},
    "adaln": {"global_cond_type": "adaLN", "patch_size": 2, "cond_token_dim": 0},
}


@pytest.fixture(scope="module")
def released() -> dict[str, torch.Tensor]:
    return load_file(DATA / "released.safetensors")


def _model(tmp_path: Path, **diffusion: object) -> OmniAudio:
    small = config(**diffusion)
    torch.save({"state_dict": checkpoint_tensors(small)}, tmp_path / "model.ckpt")
    return load_model(small, tmp_path / "model.ckpt")


def _assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert float((actual - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_transformer_computes_what_the_released_code_does(
    tmp_path: Path, released: dict[str, torch.Tensor], case: str
) -> None:
    model = _model(tmp_path, **CASES[case])
    with torch.inference_mode():
        conditions = {
            "global": model.dit.embed_global(numbers("global", (2, 5, 64))),
            "add": numbers("add", (2, LATENT_FRAMES // model.dit.patch_size, 64)),
        }
        velocity = model.dit(numbers("x", (2, 8, LATENT_FRAMES)), torch.tensor([0.7, 0.1]), conditions)
    _assert_close(velocity, released[f"velocity_{case}"])


def test_autoencoder_computes_what_the_released_code_does(tmp_path: Path, released: dict[str, torch.Tensor]) -> None:
    model = _model(tmp_path)
    with torch.inference_mode():
        mean = model.encode(numbers("foa", (1, 4, 2048)))
        decoded = model.decode(numbers("latents", (1, 8, 4)))
    _assert_close(mean, released["encoder_out"][:, :8])
    _assert_close(decoded, released["decoded"])


def test_all_figures_of_the_released_code(shared: Path) -> None:
    errors = relative_errors(shared / "parity")
    assert errors.keys() == {
        "velocity_cfg1",
        "velocity_cfg3",
        "latents_24_steps_cfg3",
        "audio",
        "vae_encoder_out",
        "vae_mean_decoded",
    }
    assert max(errors.values()) < 1e-4, errors


def test_full_size_model_has_exactly_the_released_checkpoints_tensors() -> None:
    expected = json.loads(gzip.decompress((DATA / "checkpoint_keys.json.gz").read_bytes()))
    full = load_config(PACKAGED / "omniaudio")
    with torch.device("meta"):
        tensors = dict(released_tensors(OmniAudio(full)))
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == expected
    check_tensors(full, tensors, "the full size")
    removed = tensors.popitem()[0]
    with pytest.raises(UserError, match=f"missing {removed}"):
        check_tensors(full, tensors, "the full size")
