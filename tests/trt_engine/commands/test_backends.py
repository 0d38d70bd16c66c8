"""`omniaudio backends`."""

import pytest
from typer.testing import CliRunner

from omniaudio import cli


def test_what_to_install_is_printed_with_its_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(cli.application(), ["backends"])
    assert result.exit_code == 0, result.output
    assert "pip install '.[rtx]'" in result.output
