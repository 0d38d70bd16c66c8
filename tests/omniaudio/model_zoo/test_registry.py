"""Which models are here, and which can be had."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from omniaudio.cli import application
from omniaudio.errors import ExitCode, UserError
from omniaudio.model_zoo import registry
from support.small_model import write_model


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("OMNIAUDIO_MODELS", str(folder))
    return folder


def test_the_released_model_is_listed_with_size_and_licences_before_it_is_here(user_folder: Path) -> None:
    result = CliRunner().invoke(application(), ["models"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for said in ("omniaudio", "not installed", "8.8 GB", "Apache-2.0", "CC-BY-NC-4.0", "non-commercial"):
        assert said in result.output
    with pytest.raises(UserError, match="omniaudio models download omniaudio") as caught:
        registry.find("omniaudio")
    assert caught.value.code == ExitCode.NO_MODEL


def test_sizes_to_fetch_are_what_the_tensors_take() -> None:
    # 749 tensors of checkpoint_keys.json in float32: 4 886 854 736 bytes.
    assert registry.HUB["omniaudio"][0].gigabytes == pytest.approx(4.886854736, abs=0.05)


def test_the_users_own_models_are_found_by_name_and_by_folder(user_folder: Path) -> None:
    own = user_folder / "own"
    own.mkdir()
    write_model(own)
    assert registry.find("own").folder == own
    assert registry.find(str(own)).config == own / "model_config.json"
    assert {"own", "omniaudio"} <= {model.name for model in registry.models()}
    (own / "model.ckpt").unlink()
    with pytest.raises(UserError, match=r"neither model\.safetensors nor model\.ckpt"):
        registry.find("own")


def test_files_brought_by_hand_complete_the_released_model(user_folder: Path) -> None:
    for part in registry.HUB["omniaudio"]:
        (user_folder / part.folder).mkdir()
        for alternatives in part.files:
            (user_folder / part.folder / alternatives[-1]).write_bytes(b"brought")
    model = registry.find("omniaudio")
    assert model.folder == user_folder / "omniaudio"
    assert model.config == registry.PACKAGED / "omniaudio" / "model_config.json"


def test_an_unknown_model_is_answered_with_those_that_are_known(user_folder: Path) -> None:
    with pytest.raises(UserError, match=r"no model 'omni'; choose one of .*omniaudio"):
        registry.find("omni")
