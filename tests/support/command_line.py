"""The command line in the test's own process."""

import sys
from typing import NamedTuple

import pytest

from omniaudio import cli


class Outcome(NamedTuple):
    """The exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str


def omniaudio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> Outcome:
    """Run `omniaudio` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["omniaudio", *map(str, words)])
    try:
        cli.main()
    except SystemExit as end:
        return Outcome(int(end.code or 0), *capsys.readouterr())
    return Outcome(0, *capsys.readouterr())
