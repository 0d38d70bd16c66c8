"""Fetching: the Hub's real client against a server of this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from omniaudio.cli import application
from omniaudio.encoders import METACLIP_FOLDER
from omniaudio.errors import ExitCode, UserError
from omniaudio.model_zoo import download as hub_module
from omniaudio.model_zoo import registry
from support import environments
from support.hub_server import Hub, serve
from support.small_model import CONFIG, write_model

CHECKPOINT = ("omniaudio/OmniAudio360V2SA", "model.ckpt")
METACLIP = "facebook/metaclip-h14-fullcc2.5b"
MEBIBYTE = 2**20


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("OMNIAUDIO_MODELS", str(folder))
    return folder


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """The released model's repositories, with a small checkpoint."""
    source = tmp_path / "source"
    source.mkdir()
    write_model(source)
    return Hub(
        {
            CHECKPOINT: (source / "model.ckpt").read_bytes(),
            (METACLIP, "config.json"): b'{"model_type": "clip"}',
            (METACLIP, "pytorch_model.bin"): bytes(range(256)) * 4096 * 12,
        }
    )


@pytest.fixture(autouse=True)
def endpoint(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client asks this machine's server in place of the Hub."""
    server = serve(hub)
    _ask(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))
    yield
    server.shutdown()
    server.server_close()


def _ask(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def _fetch(*options: str, answer: str = "", name: str = "omniaudio") -> Result:
    return CliRunner().invoke(application(), ["models", "download", name, *options], input=answer)


def _refusal(result: Result) -> str:
    assert isinstance(result.exception, UserError), result.output
    assert result.exception.code == ExitCode.NO_MODEL
    return result.exception.message


def _own_config(user_folder: Path) -> None:
    """The small checkpoint's config, which goes before the packaged one."""
    (user_folder / "omniaudio").mkdir()
    (user_folder / "omniaudio" / "model_config.json").write_text(json.dumps(CONFIG))


def test_fetching_shows_licences_resumes_and_verifies(hub: Hub, user_folder: Path) -> None:
    _own_config(user_folder)
    hub.cut["pytorch_model.bin"] = 11 * MEBIBYTE
    result = _fetch(answer="y\n")
    assert result.exit_code == 0, result.exception
    assert result.output.index("CC-BY-NC-4.0") < result.output.index("Accept these") < result.output.index("complete")
    assert "Apache-2.0" in result.output
    # The client keeps what came in whole pieces of 10 MiB.
    assert [asked for asked in hub.ranges if asked] == [f"bytes={10 * MEBIBYTE}-"]
    for (_, name), content in hub.files.items():
        (found,) = user_folder.glob(f"*/{name}")
        assert found.read_bytes() == content
    hub.ranges.clear()
    assert _fetch("--yes").exit_code == 0
    assert hub.ranges == []


def test_nothing_is_fetched_without_agreement(hub: Hub, user_folder: Path) -> None:
    assert _fetch(answer="n\n").exit_code == ExitCode.CANCELLED
    assert hub.ranges == []
    assert list(user_folder.iterdir()) == []


def test_a_file_that_is_not_what_the_hub_lists_is_removed(hub: Hub, user_folder: Path) -> None:
    hub.lies.add("pytorch_model.bin")
    assert "differed from the Hub's listing" in _refusal(_fetch("--yes"))
    assert not (user_folder / METACLIP_FOLDER / "pytorch_model.bin").exists()


def test_a_checkpoint_that_is_not_the_configs_is_refused(user_folder: Path) -> None:
    # The packaged config is the full-size one, the server's checkpoint is small.
    message = _refusal(_fetch("--yes"))
    assert "does not fit its config" in message
    assert "misshapen diffusion.model.model.transformer.project_in.weight [64, 8], expected [1536, 64]" in message


def test_without_torch_the_files_are_compared_with_the_hub_alone(
    user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nor is the packaged config, which this small checkpoint does not fit.
    # None makes an import fail; without torch that of the module which needs it does, too.
    for name in ("torch", "omniaudio.model.checkpoint"):
        monkeypatch.setitem(sys.modules, name, None)
    result = _fetch("--yes")
    assert result.exit_code == 0, result.exception
    assert "its files match the Hub's list" in result.output
    assert "pip install '.[cpu,released,torch]'" in result.output
    assert registry.find("omniaudio").ready


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="environments are made of links")
def test_a_plain_install_fetches(hub: Hub, tmp_path: Path) -> None:
    variables = environments.variables(environments.make(tmp_path / "environment", ()), tmp_path / "home")
    words = ["omniaudio", "models", "download", "omniaudio", "--yes"]
    done = subprocess.run(
        words, env={**variables, "HF_ENDPOINT": constants.ENDPOINT}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "its files match the Hub's list" in done.stdout
    folder = tmp_path / "home" / "DATA" / "omniaudio" / "models"
    for (_, name), content in hub.files.items():
        (found,) = folder.glob(f"*/{name}")
        assert found.read_bytes() == content


def test_a_full_disk_is_said_before_anything_is_fetched(
    hub: Hub, user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    result = _fetch("--yes")
    assert isinstance(result.exception, UserError)
    assert result.exception.code == ExitCode.NOT_WRITABLE
    assert "make room" in result.exception.message
    assert hub.ranges == []


def test_without_a_network_one_message_says_how_to_do_by_hand(
    user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(monkeypatch, "http://127.0.0.1:9")  # the port where nobody listens
    message = _refusal(_fetch("--yes"))
    assert message.startswith("The Hub cannot be reached; on a machine that can, download")
    for said in (
        "OmniAudio360V2SA",
        "model.ckpt",
        str(user_folder / "omniaudio"),
        str(user_folder / METACLIP_FOLDER),
    ):
        assert said in message


def test_a_model_that_is_not_on_the_hub_is_said(user_folder: Path) -> None:
    assert "no model 'draft' to download" in _refusal(_fetch(name="draft"))
