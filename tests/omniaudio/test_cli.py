import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from omniaudio import cli
from omniaudio.errors import ExitCode


def test_a_package_that_cannot_be_imported_costs_its_own_commands_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    missing = EntryPoint("engine", "no_such_package.commands:register", cli.ENTRY_POINTS)
    monkeypatch.setattr(cli, "entry_points", lambda group: [missing] if group == cli.ENTRY_POINTS else [])
    result = CliRunner().invoke(cli.application(), ["--help"])
    assert result.exit_code == 0
    assert "verify" in result.output
    assert "The commands of 'engine' are not available" in caplog.text


def test_a_persons_error_is_one_sentence_on_stderr_and_its_code() -> None:
    command = [sys.executable, "-m", "omniaudio.cli", "models", "fetch", "omni"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == ExitCode.NO_MODEL
    assert result.stdout == ""
    assert result.stderr.strip().splitlines()[-1] == "There is no model 'omni' to fetch: name one of omniaudio."
    assert "Traceback" not in result.stderr


def test_help_needs_neither_torch_nor_the_hubs_client() -> None:
    loaded = (
        "import sys, omniaudio.cli as cli; cli.application(); print({'torch', 'huggingface_hub'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=100, check=True)
    assert result.stdout.strip() == "set()"
