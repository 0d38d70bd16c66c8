"""Finds the service's program, and says what it may read. Does not import bpy."""

import os
import shutil
import string
import sys
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import UserError

PYTHON_VARIABLE = "OMNIAUDIO_PYTHON"

NO_PROGRAM = "no_program"
"""Error code: the service's program was not found."""

_PYTHONS = tuple(
    Path(*parts)
    for environment in ((".venv",), ("venv",), ())
    for parts in ((*environment, "bin", "python"), (*environment, "Scripts", "python.exe"))
)


def find_program(named: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command line that starts `omniaudio`.

    Args:
        named: the command, a Python that has it, or a folder: a checkout with an environment, or the environment
            itself. If empty, the value of `OMNIAUDIO_PYTHON`, else `omniaudio` on the search path.
        environment: the environment variables.

    Raises:
        UserError: NO_PROGRAM, there is no such program.
    """
    named = os.path.expanduser(named.strip() or environment.get(PYTHON_VARIABLE, "").strip())
    if named and Path(named).is_dir():
        pythons = [str(path) for path in (Path(named) / python for python in _PYTHONS) if path.is_file()]
        program = pythons[0] if pythons else None
    else:
        program = shutil.which(named or "omniaudio", path=environment.get("PATH"))
    if program is None:
        reason = f"'{named}' is not a program" if named else "no command 'omniaudio' is on the search path"
        raise UserError(
            f"The OmniAudio engine was not found ({reason}): install it, and name the Python or the folder that has it "
            f"in the extension's preferences.",
            NO_PROGRAM,
        )
    program = os.path.abspath(program)  # it starts in another folder
    is_python = Path(program).name.lower().startswith("python")
    return [program, "-m", "omniaudio.cli"] if is_python else [program]


def roots() -> list[Path]:
    """The folders the service may read: everything, since it is the user's own and only they can read its token."""
    if sys.platform == "win32":
        return [drive for letter in string.ascii_uppercase if (drive := Path(f"{letter}:\\")).is_dir()]
    return [Path("/")]
