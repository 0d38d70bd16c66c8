"""Checks whether an output can be written, before minutes are spent on it."""

import tempfile
from contextlib import suppress
from pathlib import Path

from omniaudio.errors import ExitCode, UserError

_ADDED = ".take00.preview.00000000"
"""The longest suffix that is added to an output's name."""


def check_output(output: Path, suffix: str, *inputs: Path) -> None:
    """Raises UserError (NOT_WRITABLE) if an output does not have the suffix (such as `.wav`), is also an input, or if
    its folder is missing or not writable."""
    folder = output.parent
    if output.suffix.lower() != suffix:
        better = output.with_suffix(suffix) if output.name else f"OUT{suffix}"
        raise UserError(f"The output is a {suffix} file; use {better}, not {output}.", ExitCode.NOT_WRITABLE)
    if any(output.resolve() == path.resolve() for path in inputs):
        raise UserError(f"{output} is also the input; choose another output with -o.", ExitCode.NOT_WRITABLE)
    try:
        if output.is_dir() or not folder.is_dir():
            what = "is a folder" if output.is_dir() else f"cannot be written, since there is no folder {folder}"
            raise UserError(f"{output} {what}; choose another output.", ExitCode.NOT_WRITABLE)
        with tempfile.TemporaryFile(dir=folder):
            pass
        with suppress(FileNotFoundError):
            (folder / f".{output.stem}{_ADDED}{suffix}").lstat()  # raises if the name would be too long
    except OSError as error:
        message = f"{output} cannot be written ({error.strerror}); choose another output with -o."
        raise UserError(message, ExitCode.NOT_WRITABLE) from error
