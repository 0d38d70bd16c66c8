"""A bundle: a folder with a model's config, its weights once, one ONNX graph a stage, and `bundle.json` about them."""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from omniaudio.delivery import file_sha256
from omniaudio.errors import ExitCode, UserError

BUNDLE_FILE = "bundle.json"

WEIGHT_NAMES = ("model.safetensors", "model.ckpt", "vision.safetensors")

PICTURE = "picture."
"""Begins the names of the vision graph's inputs: a graph may not name an input and an output alike."""


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
    weights: tuple[FileRecord, ...]
    """The model's own files."""
    graph_weights: tuple[FileRecord, ...]
    """The files that the graphs point into; the same ones where a graph can."""
    precision: str
    graphs: dict[Stage, Graph]
    licences: tuple[Licence, ...]
    versions: dict[str, str]

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Every file but `bundle.json` itself."""
        return (self.config, *self.graph_weights, *self.graphs.values())

    @property
    def identity(self) -> str:
        """Of config and weights: what a sidecar names the model by."""
        return identity(self.config, self.weights)


def record(path: Path) -> FileRecord:
    """Measure a file of a bundle."""
    return FileRecord(file=path.name, size=path.stat().st_size, sha256=file_sha256(path))


def identity(config: FileRecord, weights: tuple[FileRecord, ...]) -> str:
    """One SHA-256 of a config's and of weights' hashes, whatever the files are called."""
    return hashlib.sha256("\n".join(file.sha256 for file in (config, *weights)).encode()).hexdigest()


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that a model's own weights lie in: the model's, and its vision's where the folder has it."""
    return tuple(path for name in WEIGHT_NAMES if (path := folder / name).is_file())


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
        if file_sha256(folder / file.file) != file.sha256:
            raise _damaged(folder, f"{file.file} is not what was written")
    return bundle


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(
        f"The model in {folder} is damaged ({what}): install it anew or run `omniaudio export` again.",
        ExitCode.NO_MODEL,
    )
