"""Files that are never half-written, their hashes, and their paths as seen from each other."""

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
    """Gives an empty file beside `path` to write to, and renames it to `path` once the block has ended.

    If the block fails or is interrupted the file is removed, and whatever was at `path` stays as it was. What the
    system refuses becomes a UserError with NOT_WRITABLE."""
    with refusals(path), partial_file(path) as partial:
        yield partial


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = f"{path} cannot be written ({reason}): choose another place, or make room there."
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
    """A hidden folder inside `folder`: what lies in it at the end goes to `folder`, or on failure nothing."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".omniaudio-") as name:
            hidden = Path(name)
            try:
                yield hidden
            except UserError as error:
                raise UserError(error.message.replace(name, str(folder)), error.code) from error
            # The sidecar goes last: where it lies, the take is whole.
            for file in sorted(hidden.iterdir(), key=lambda path: path.suffix == ".json"):
                os.replace(file, folder / file.name)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror}): choose another place, or make room there.",
            ExitCode.NOT_WRITABLE,
        ) from error


def relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder, so that both can be moved together; the whole path from another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
