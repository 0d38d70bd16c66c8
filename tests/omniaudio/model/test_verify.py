import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from omniaudio.cli import application
from omniaudio.config import load_config
from omniaudio.errors import UserError
from omniaudio.generation.sampler import euler, guided
from omniaudio.model.checkpoint import find_weights, load_model
from omniaudio.model.verify import verify
from omniaudio.video.panorama import pad_square, perspective_view
from support.projections import panorama as drawn_panorama
from support.small_model import numbers, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model's folder with figures of it, which are right."""
    write_model(tmp_path)
    model = load_model(load_config(tmp_path), find_weights(tmp_path))
    inputs = {
        "video_360": numbers("video_360", (4, 24)),
        "video_fov": numbers("video_fov", (4, 24)),
        "noise": numbers("noise", (1, 8, 12)),
        "t": torch.tensor([0.7]),
        "vae_in": numbers("foa", (1, 4, 2048)),
    }
    with torch.inference_mode():
        conditions = model.conditions({name: inputs[name][None] for name in ("video_360", "video_fov")}, 12)
        latents = euler(guided(model.velocity, conditions, 2.5, ("add",)), inputs["noise"], 3)
        outputs = {
            "velocity_cfg1": model.velocity(inputs["noise"], inputs["t"], conditions),
            "latents_3_steps_cfg2.5": latents,
            "audio": model.decode(latents),
        }
    outputs = {name: output.contiguous() for name, output in outputs.items()}
    save_file(inputs | outputs, tmp_path / "io.safetensors")
    return tmp_path


def _change(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    figures = {key: value.clone() for key, value in load_file(folder / "io.safetensors").items()}
    if tensor is None:
        del figures[name]
    else:
        figures[name] = tensor
    save_file(figures, folder / "io.safetensors")


def _run(folder: Path) -> tuple[int, dict[str, float]]:
    result = CliRunner().invoke(application(), ["verify", str(folder)])
    assert result.output.count("\n") == 1, result.output
    return result.exit_code, json.loads(result.output)


def test_figures_that_are_right_pass(folder: Path) -> None:
    code, errors = _run(folder)
    assert code == 0
    assert errors.keys() == {"velocity_cfg1", "latents_3_steps_cfg2.5", "audio"}
    assert max(errors.values()) < 1e-5


@pytest.mark.parametrize("wrong", [2e-4, torch.nan])
def test_one_wrong_value_fails(folder: Path, wrong: float) -> None:
    audio = load_file(folder / "io.safetensors")["audio"].clone()
    audio[0, 2, 77] += wrong * audio.abs().max()
    _change(folder, "audio", audio)
    code, errors = _run(folder)
    assert code == 1
    assert not errors["audio"] < 1e-4
    assert errors["velocity_cfg1"] < 1e-4


def test_the_released_codes_figures_and_views_pass(shared: Path) -> None:
    code, errors = _run(shared / "parity")
    assert code == 0
    assert {"audio", "padded_square", "view_front_120", "view_yaw-135_pitch30_fov90"} <= errors.keys()


def test_a_changed_view_fails(folder: Path) -> None:
    panorama = drawn_panorama(64)
    view = perspective_view(panorama, np.pi / 2, np.pi / 2, 0, 32)
    figures = {"panorama": panorama, "padded_square": pad_square(panorama), "view_yaw90_fov90": view}
    save_arrays(figures, folder / "views.safetensors")
    code, errors = _run(folder)
    assert code == 0
    assert {"audio", "padded_square", "view_yaw90_fov90"} <= errors.keys()
    view[:2] ^= 16
    save_arrays(figures, folder / "views.safetensors")
    errors, good = verify(folder)
    assert not good
    assert errors["view_yaw90_fov90"] == pytest.approx(16 / 255)
    assert errors["padded_square"] <= 1 / 255


def test_what_cannot_be_checked_is_a_message(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(UserError, match=r"neither io\.safetensors nor views\.safetensors"):
        verify(tmp_path_factory.mktemp("empty"))
    _change(folder, "spectrum", torch.zeros(1))
    with pytest.raises(UserError, match="'spectrum'"):
        verify(folder)
    _change(folder, "noise", None)
    with pytest.raises(UserError, match="lacks the inputs noise"):
        verify(folder)
    (folder / "io.safetensors").write_bytes(b"cut short")
    with pytest.raises(UserError, match="no readable outputs"):
        verify(folder)
    (folder / "io.safetensors").rename(folder / "views.safetensors")
    with pytest.raises(UserError, match="damaged or contains no panorama"):
        verify(folder)
