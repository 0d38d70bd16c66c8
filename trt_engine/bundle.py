"""A bundle: a folder with a model's config, its weights once, one ONNX graph a stage, and `bundle.json` about them."""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from omniaudio.errors import ExitCode, UserError

BUNDLE_FILE = "bundle.json"
HASHED_AT_ONCE = 1 << 20


class Stage(StrEnum):
    """The graphs of a model, in the order in which a clip passes them; the encoder serves training and listening."""

    VISION = "vision"
    CONDITIONER = "conditioner"
    VELOCITY = "velocity"
    DECODER = "decoder"
    ENCODER = "encoder"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tensor(_Record):
    """A named tensor; a dimension that may vary is a name instead of a number."""

    name: str
    shape: tuple[int | str, ...]


class FileRecord(_Record):
    """A file of the bundle: its name in the folder, bytes, SHA-256 in hexadecimal."""

    file: str
    size: int
    sha256: str


class Check(_Record):
    """What a graph was compared with after its export: the largest error over the tensor's largest value."""

    reference: str
    backend: str
    relative_error: float


class Graph(FileRecord):
    """One stage as an ONNX graph."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    check: Check


class Licence(_Record):
    """What of the bundle is under which licence (SPDX name, or the licence's own where it has none)."""

    of: str
    licence: str


class Bundle(_Record):
    """The content of `bundle.json`."""

    format: Literal[1] = 1
    model: str
    config: FileRecord
    weights: FileRecord
    precision: str
    graphs: dict[Stage, Graph]
    licences: tuple[Licence, ...]
    versions: dict[str, str]

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Every file but `bundle.json` itself."""
        return (self.config, self.weights, *self.graphs.values())


def record(path: Path) -> FileRecord:
    """Measure a file of a bundle."""
    return FileRecord(file=path.name, size=path.stat().st_size, sha256=sha256(path))


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def load(folder: Path) -> Bundle:
    """Read a bundle and check that every file is there in its full size.

    Raises:
        UserError: no bundle, written by another version, or a file missing or cut short.
    """
    path = folder / BUNDLE_FILE
    if not path.is_file():
        raise UserError(
            f"{folder} holds no {BUNDLE_FILE}: run `omniaudio export {folder}` first, or choose --backend torch.",
            ExitCode.NO_MODEL,
        )
    try:
        bundle = Bundle.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path} is damaged or of another version ({where}: {first['msg']}): run `omniaudio export` again.",
            ExitCode.NO_MODEL,
        ) from error
    for file in bundle.files:
        if not (folder / file.file).is_file():
            raise _damaged(folder, f"{file.file} is missing")
        size = (folder / file.file).stat().st_size
        if size != file.size:
            raise _damaged(folder, f"{file.file} has {size} bytes instead of {file.size}")
    return bundle


def verify(folder: Path) -> Bundle:
    """Read a bundle and compare every file with its hash.

    Raises:
        UserError: as `load`, or a file whose content differs.
    """
    bundle = load(folder)
    for file in bundle.files:
        if sha256(folder / file.file) != file.sha256:
            raise _damaged(folder, f"{file.file} is not what was written")
    return bundle


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(
        f"The model in {folder} is damaged ({what}): install it anew or run `omniaudio export` again.",
        ExitCode.NO_MODEL,
    )
