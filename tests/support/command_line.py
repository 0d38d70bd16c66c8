"""The command line in the test's own process."""

import sys
from typing import NamedTuple

import pytest

from omniaudio import cli


class Outcome(NamedTuple):
    """What a run of a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def omniaudio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> Outcome:
    """Runs `omniaudio` with these words."""
    monkeypatch.setattr(sys, "argv", ["omniaudio", *map(str, words)])
    try:
        cli.main()
    except SystemExit as end:
        return Outcome(int(end.code or 0), *capsys.readouterr())
    return Outcome(0, *capsys.readouterr())
