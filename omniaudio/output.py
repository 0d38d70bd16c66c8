"""Whether a file can be written where it is wanted, asked before minutes are spent on it."""

import tempfile
from contextlib import suppress
from pathlib import Path

from omniaudio.errors import ExitCode, UserError

_ADDED = ".take00.preview.00000000"
"""The most that is added to an output's name on the way."""


def check_output(output: Path, suffix: str, *inputs: Path) -> None:
    """Refuses an output with another suffix (as `.wav`), one that is an input itself, and a folder that is not there
    or may not be written to.

    Raises UserError (NOT_WRITABLE)."""
    folder = output.parent
    if output.suffix.lower() != suffix:
        better = output.with_suffix(suffix) if output.name else f"OUT{suffix}"
        raise UserError(f"The output is a {suffix} file: name {better}, not {output}.", ExitCode.NOT_WRITABLE)
    if any(output.resolve() == path.resolve() for path in inputs):
        raise UserError(f"{output} is the input itself: name another output with -o.", ExitCode.NOT_WRITABLE)
    try:
        if output.is_dir() or not folder.is_dir():
            what = "is a folder" if output.is_dir() else f"cannot be written, there is no folder {folder}"
            raise UserError(f"{output} {what}: choose another place.", ExitCode.NOT_WRITABLE)
        with tempfile.TemporaryFile(dir=folder):
            pass
        with suppress(FileNotFoundError):
            (folder / f".{output.stem}{_ADDED}{suffix}").lstat()  # raises where the name would be too long
    except OSError as error:
        message = f"{output} cannot be written ({error.strerror}): choose another place with -o."
        raise UserError(message, ExitCode.NOT_WRITABLE) from error
