"""Checks of paths and kinds of files, before anything is opened.

Sidecars, answers of the service and lines of JSON are UTF-8, so they cannot contain other names. Devices and pipes have
no end, so reading one could wait for ever.
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
"""Characters of a path that a message shows."""


def check_name(path: Path, code: ExitCode = ExitCode.NO_INPUT) -> Path:
    """Return the path if it is UTF-8, also with all links resolved, and the system can look it up.

    It need not exist. Raises UserError with `code`."""
    shown = str(path) if len(str(path)) <= _SHOWN else f"{str(path)[:_SHOWN]}…"
    try:
        path.stat()
    except OSError as error:
        # Windows reports EINVAL for characters that no name can contain.
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            message = f"{shown} cannot be looked up ({error.strerror}); choose another path."
            raise UserError(message, code) from error
    except ValueError as error:  # a NUL
        raise UserError(f"{shown} cannot be looked up ({error}); choose another path.", code) from error
    try:
        for whole in (path, path.resolve()):
            os.fspath(whole).encode()
    except UnicodeEncodeError as error:
        message = f"{shown} has a name that is not UTF-8, or is in a folder with one; rename it."
        raise UserError(message, code) from error
    return path


InputPath = Annotated[Path, AfterValidator(check_name)]
OutputPath = Annotated[Path, AfterValidator(partial(check_name, code=ExitCode.NOT_WRITABLE))]
"""Paths of a request; only their names are checked."""


def check_readable(path: Path, wanted: str) -> None:
    """Raises UserError (NO_INPUT) if a path does not exist, cannot be read, or is a folder, a device or a pipe.

    `wanted` is what the message suggests instead, such as "a WAV with 4 channels"."""
    check_name(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UserError(f"There is no file {path}; check the path.", ExitCode.NO_INPUT) from None
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); check the path."
        raise UserError(message, ExitCode.NO_INPUT) from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder; choose {wanted}.", ExitCode.NO_INPUT)
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read; change its permissions.", ExitCode.NO_INPUT)
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device or a pipe, not a file; choose {wanted}.", ExitCode.NO_INPUT)
