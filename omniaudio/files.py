"""Files that are never half-written, and their hashes."""

import hashlib
import os
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
        sentence = f"{path} cannot be written ({reason}): choose another place, or make room there."
        raise UserError(sentence, ExitCode.NOT_WRITABLE) from error


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
