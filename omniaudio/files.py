"""Atomic writing of files, their hashes, and relative paths."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from uuid import uuid4

from omniaudio.errors import ExitCode, UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty file next to `path` to write to, and rename it to `path` after the block.

    If the block fails or is interrupted, the file is removed, and `path` stays as it was. An OSError becomes a
    UserError (NOT_WRITABLE)."""
    with refusals(path), partial_file(path) as partial:
        yield partial


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = f"{path} cannot be written ({reason}); choose another folder, or make room there."
        raise UserError(message, ExitCode.NOT_WRITABLE) from error


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        partial.touch(exist_ok=False)
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder inside `folder`. Its files move to `folder` after the block; on failure, none do.

    Raises UserError (NOT_WRITABLE) if the folder cannot be written to."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".omniaudio-") as name:
            hidden = Path(name)
            try:
                yield hidden
            except UserError as error:
                raise UserError(error.message.replace(name, str(folder)), error.code) from error
            # The sidecar goes last: its presence means that the take is complete.
            for file in sorted(hidden.iterdir(), key=lambda path: path.suffix == ".json"):
                os.replace(file, folder / file.name)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror}); choose another folder, or make room there.",
            ExitCode.NOT_WRITABLE,
        ) from error


def relative(path: Path, folder: Path) -> str:
    """A path relative to a folder, so that both can be moved together; absolute if it is on another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
