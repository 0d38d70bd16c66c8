"""The engine as a child: which program it is, its start, its first words and its end. Knows no bpy.

It outlives Blender where Blender crashes; the next one finds it again by the folder. By itself it ends when for
`LINGER_SECONDS` nobody has needed it.
"""

import os
import shutil
import signal
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .errors import UserError

PYTHON_VARIABLE = "OMNIAUDIO_PYTHON"
LINGER_SECONDS = 60
SECONDS_TO_STOP = 8.0
"""The engine lets downloads go on for five seconds."""
IN_USE = 10
"""The exit code by which the engine says that another one has the folder; the start was a race, then."""

NO_PROGRAM, ENGINE_FAILED = "no_program", "engine_failed"
"""Codes: no program of the engine is there; it does not start, or ends by itself."""

_LOG = "start.log"
_SERVICE_LOG = "service.log"
_MOST_LOG_BYTES = 1 << 20
_LAST_BYTES, _LONGEST_WORD = 8192, 300
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


def log_of(folder: Path) -> Path:
    """What an engine says of its troubles: the newest of what it said at its start, and of what it wrote since."""
    logs = [folder / _LOG, folder / _SERVICE_LOG]
    return max(logs, key=lambda log: log.stat().st_mtime if log.is_file() else 0.0)


class EngineProcess:
    """An engine that this Blender has started."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start it; whether it will answer is not known yet.

        Args:
            command: the words that start the command `omniaudio`.
            folder: the engine's own, for its jobs; made where it is missing.

        Raises:
            UserError: ENGINE_FAILED, the system cannot start it, or the folder cannot be used.
        """
        words = [*command, "serve", "--folder", str(folder), "--port", "0", "--linger", str(LINGER_SECONDS)]
        for root in _roots():
            words += ["--allow-root", str(root)]
        self._log = folder / _LOG
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whoever else starts one on this folder at this moment writes here too, so it is only ever appended to.
            with self._log.open("ab") as log:
                if log.tell() > _MOST_LOG_BYTES:
                    log.truncate(0)
                self._first_byte = log.seek(0, os.SEEK_END)
                self._process = subprocess.Popen(
                    words,
                    cwd=folder,  # Blender's own may be a drive that is to be taken out
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "PYTHONUTF8": "1"},
                    creationflags=_creation_flags(),
                    start_new_session=True,
                )
        except OSError as error:
            raise UserError(
                f"The OmniAudio engine could not be started ({error}): check the program in the extension's "
                f"preferences, and the folder {folder}.",
                ENGINE_FAILED,
            ) from error

    @property
    def exit_code(self) -> int | None:
        """None as long as it runs."""
        return self._process.poll()

    def epitaph(self) -> UserError:
        """Why one ended that should not have, in its own last words."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._first_byte, log.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        # The option parser frames what it says with a box.
        bare = [line.strip(" │╭─╮╰╯") for line in lines]
        last = next((line for line in reversed(bare) if line), "")
        said = f"its last words were: {last[:_LONGEST_WORD]}" if last else "it said nothing"
        return UserError(f"The OmniAudio engine ended by itself (exit code {self.exit_code}); {said}", ENGINE_FAILED)

    def stop(self, seconds: float = SECONDS_TO_STOP) -> None:
        """Have it end: it is asked to, and killed where it has not ended after so many seconds. Its jobs that have not
        ended wait for the next one."""
        if self.exit_code is None:
            with suppress(OSError):  # it has ended this moment, or Windows has no console to tell it by
                self._process.send_signal(_END)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


if sys.platform == "win32":
    _END = signal.CTRL_BREAK_EVENT
else:
    _END = signal.SIGTERM


def _creation_flags() -> int:
    """A group of the child's own, as a session is elsewhere: Ctrl-C in Blender's terminal reaches Blender alone, and
    Ctrl-Break the engine alone."""
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def _roots() -> list[Path]:
    """The engine is the user's own, and reads what they may read: it is asked by who has the token, which they alone
    can read."""
    if sys.platform == "win32":
        return [drive for letter in string.ascii_uppercase if (drive := Path(f"{letter}:\\")).is_dir()]
    return [Path("/")]
