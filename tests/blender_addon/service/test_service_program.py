"""Which program is the service."""

from pathlib import Path

import pytest

from blender_addon.core.errors import UserError
from blender_addon.service.service_program import NO_PROGRAM, find_program


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_program_is_found_by_preference_then_environment_then_path(tmp_path: Path) -> None:
    for name in ("omniaudio", "python3.11", "own-command"):
        program(tmp_path / name)
    on_path = {"PATH": str(tmp_path)}
    named = {**on_path, "OMNIAUDIO_PYTHON": str(tmp_path / "python3.11")}
    assert find_program(str(tmp_path / "own-command"), named) == [str(tmp_path / "own-command")]
    assert find_program("", named) == [str(tmp_path / "python3.11"), "-m", "omniaudio.cli"]
    assert find_program(" ", on_path) == [str(tmp_path / "omniaudio")]
    with pytest.raises(UserError, match="no command 'omniaudio' is on the search path") as refusal:
        find_program("", {"PATH": ""})
    assert refusal.value.code == NO_PROGRAM
    with pytest.raises(UserError, match="'/no/python' is not a program"):
        find_program("/no/python", on_path)


@pytest.mark.parametrize("inside", [".venv/bin/python", "venv/bin/python", "bin/python", ".venv/Scripts/python.exe"])
def test_a_folder_stands_for_the_environment_in_it(inside: str, tmp_path: Path) -> None:
    python = program(tmp_path / "Ö folder" / inside)
    assert find_program(str(tmp_path / "Ö folder")) == [str(python), "-m", "omniaudio.cli"]
    with pytest.raises(UserError, match="is not a program"):
        find_program(str(tmp_path))
