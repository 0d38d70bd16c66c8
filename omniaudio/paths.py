"""Which names and which kinds of files are accepted, asked before anything is opened.

Sidecars, answers of the service and lines of JSON are UTF-8, so a name that is not cannot be told in them. Devices and
pipes have no end, and waiting for one would last for ever.
"""

import errno
import os
import stat
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from omniaudio.errors import ExitCode, UserError

_SHOWN = 80
"""Characters of a path that a message repeats."""


def check_name(path: Path, code: ExitCode = ExitCode.NO_INPUT) -> Path:
    """The path itself, where it can be told in UTF-8, with all links followed too, and the system can look it up.

    Nothing needs to lie there. Raises UserError with `code`."""
    shown = str(path) if len(str(path)) <= _SHOWN else f"{str(path)[:_SHOWN]}…"
    try:
        path.stat()
    except OSError as error:
        # Windows says EINVAL of characters that no name can have.
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            message = f"{shown} cannot be looked up ({error.strerror}): name another path."
            raise UserError(message, code) from error
    except ValueError as error:  # a NUL
        raise UserError(f"{shown} cannot be looked up ({error}): name another path.", code) from error
    try:
        for whole in (path, path.resolve()):
            os.fspath(whole).encode()
    except UnicodeEncodeError as error:
        message = f"{shown} has a name, or lies in a folder with one, that is not UTF-8: rename it."
        raise UserError(message, code) from error
    return path


InputPath = Annotated[Path, AfterValidator(check_name)]
OutputPath = Annotated[Path, AfterValidator(partial(check_name, code=ExitCode.NOT_WRITABLE))]
"""Paths of a request, checked by their names alone."""


def check_readable(path: Path, wanted: str) -> None:
    """Whether a file can be read to its end. `wanted` says what to name instead, as "a WAV with 4 channels".

    Raises UserError (NO_INPUT): nothing is there, or no ordinary file, as a folder, a device or a pipe."""
    check_name(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UserError(f"There is no file {path}; check the path.", ExitCode.NO_INPUT) from None
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); check the path."
        raise UserError(message, ExitCode.NO_INPUT) from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder: name {wanted}.", ExitCode.NO_INPUT)
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} may not be read: change its permissions.", ExitCode.NO_INPUT)
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device or a pipe, not a file: name {wanted}.", ExitCode.NO_INPUT)
