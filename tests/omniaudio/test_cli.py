import subprocess
import sys
from importlib import import_module
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


def test_a_persons_error_is_one_message_on_stderr_and_its_code() -> None:
    command = [sys.executable, "-m", "omniaudio.cli", "models", "download", "omni"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == ExitCode.NO_MODEL
    assert result.stdout == ""
    assert result.stderr.strip().splitlines()[-1] == "There is no model 'omni' to download; choose one of omniaudio."
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("ours", [False, True])
def test_a_package_that_is_missing_is_one_message(
    ours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a checkout whose newest version needs more than was installed; what is ours or broken is a fault."""
    name = "omniaudio.no_such_module" if ours else "no_such_package.part"
    monkeypatch.setattr(cli, "application", lambda: lambda: import_module(name))
    with pytest.raises(ModuleNotFoundError if ours else SystemExit) as end:
        cli.main()
    if not ours:
        assert end.value.code == ExitCode.FAILED
        (message,) = capsys.readouterr().err.splitlines()
        assert message.startswith("The package no_such_package is missing in ")
        assert message.endswith("run `pip install .` in OmniAudio's folder.")


def test_help_needs_neither_torch_nor_the_hubs_client() -> None:
    loaded = (
        "import sys, omniaudio.cli as cli; cli.application(); print({'torch', 'huggingface_hub'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=100, check=True)
    assert result.stdout.strip() == "set()"
