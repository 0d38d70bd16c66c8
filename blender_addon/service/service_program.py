"""Which program the engine is, and what it may read. Knows no bpy."""

import os
import shutil
import string
import sys
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import UserError

PYTHON_VARIABLE = "OMNIAUDIO_PYTHON"

NO_PROGRAM = "no_program"
"""Code: no program of the engine is there."""

_PYTHONS = tuple(
    Path(*parts)
    for environment in ((".venv",), ("venv",), ())
    for parts in ((*environment, "bin", "python"), (*environment, "Scripts", "python.exe"))
)


def find_program(named: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The words that start the command `omniaudio`.

    Args:
        named: the command, the Python in which it is installed, or a folder: a checkout that has an environment, or the
            environment itself. Where it is empty, `OMNIAUDIO_PYTHON` names it, or else it is `omniaudio` on the path.
        environment: the variables.

    Raises:
        UserError: NO_PROGRAM, it names none.
    """
    named = os.path.expanduser(named.strip() or environment.get(PYTHON_VARIABLE, "").strip())
    if named and Path(named).is_dir():
        pythons = [str(path) for path in (Path(named) / python for python in _PYTHONS) if path.is_file()]
        program = pythons[0] if pythons else None
    else:
        program = shutil.which(named or "omniaudio", path=environment.get("PATH"))
    if program is None:
        asked = f"'{named}' is no program" if named else "no command 'omniaudio' is on the search path"
        raise UserError(
            f"The OmniAudio engine was not found ({asked}): install it, and name the Python or the folder that has it "
            f"in the extension's preferences.",
            NO_PROGRAM,
        )
    program = os.path.abspath(program)  # it is started in another folder
    is_python = Path(program).name.lower().startswith("python")
    return [program, "-m", "omniaudio.cli"] if is_python else [program]


def roots() -> list[Path]:
    """The engine is the user's own, and reads what they may read: it is asked by who has the token, which they alone
    can read."""
    if sys.platform == "win32":
        return [drive for letter in string.ascii_uppercase if (drive := Path(f"{letter}:\\")).is_dir()]
    return [Path("/")]
