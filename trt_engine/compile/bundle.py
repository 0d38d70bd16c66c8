"""A bundle: a folder with a model's config, its weights once, one ONNX graph a stage, and `bundle.json` about them."""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omniaudio.config import WEIGHT_NAMES, ModelConfig
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256, replacing
from omniaudio.generation.exemplars import LATENTS_NAME, TABLE_NAME
from trt_engine.compile.targets import Flavour, Precision

BUNDLE_FILE = "bundle.json"


FRAME_PREFIX = "frame."
"""Prefix of the names of the vision graph's inputs: an input and an output may not have the same name."""


class Stage(StrEnum):
    """The graphs of a model, in the order in which a clip passes them; the encoder is for training and inpainting."""

    VISION = "vision"
    CONDITIONER = "conditioner"
    VELOCITY = "velocity"
    DECODER = "decoder"
    ENCODER = "encoder"


def stages(config: ModelConfig) -> tuple[Stage, ...]:
    """The stages of a model, in order: a model without a vision encoder has no `VISION`."""
    return tuple(stage for stage in Stage if config.sees or stage is not Stage.VISION)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tensor(_Record):
    """A named tensor; a dimension that may vary is a name instead of a number."""

    name: str
    shape: tuple[int | str, ...]


class FileRecord(_Record):
    """A file of the bundle: its name in the folder, its size in bytes, its SHA-256 in hexadecimal.

    The pattern keeps a foreign bundle from naming files outside its folder."""

    file: str = Field(pattern=r"^(engines/)?[^/\\:.][^/\\:]*$")
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


class Sizes(_Record):
    """The smallest and the largest shape of an input, and the one that the engine is tuned for."""

    minimum: tuple[int, ...]
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]


class Engine(FileRecord):
    """One stage compiled for GPUs; it loads only in the same release of the same TensorRT."""

    stage: Stage
    flavour: Flavour
    version: str
    architectures: tuple[int, ...]
    """Compute capabilities × 10, ascending."""
    precision: Precision
    source: str
    """`Bundle.source` of the stage when the engine was made."""
    profile: dict[str, Sizes]


class Licence(_Record):
    """The licence of a part of the bundle (SPDX name, or the licence's own name if it has none)."""

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
    exemplars: tuple[FileRecord, ...] = ()
    """The exemplars that sampling may start from (`omniaudio.generation.exemplars`), if the model has any."""
    precision: str
    graphs: dict[Stage, Graph]
    engines: tuple[Engine, ...] = ()
    """The newest of a kind comes last."""
    licences: tuple[Licence, ...]
    versions: dict[str, str]

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """What every back-end needs: all but the engines and `bundle.json` itself."""
        return (self.config, *self.graph_weights, *self.exemplars, *self.graphs.values())

    @property
    def identity(self) -> str:
        """The hash of config, weights and exemplars, by which a sidecar identifies the model."""
        return identity(self.config, (*self.weights, *self.exemplars))

    def source(self, stage: Stage) -> str:
        """The hash of what an engine of a stage is compiled from: the graph and the weights that it points into."""
        return identity(self.graphs[stage], self.graph_weights)


def record(path: Path) -> FileRecord:
    """Measure a file of a bundle."""
    return FileRecord(file=path.name, size=path.stat().st_size, sha256=file_sha256(path))


def intact(folder: Path, file: FileRecord) -> bool:
    """Whether a file of a bundle is there and is what was written."""
    path = folder / file.file
    return path.is_file() and path.stat().st_size == file.size and file_sha256(path) == file.sha256


def write(bundle: Bundle, path: Path) -> None:
    """Write `bundle.json`, or replace it once the new one is whole."""
    with replacing(path) as partial:
        partial.write_text(bundle.model_dump_json(indent=1) + "\n", encoding="utf-8")


def identity(first: FileRecord, weights: tuple[FileRecord, ...]) -> str:
    """One SHA-256 of a config's or graph's and of weights' hashes, whatever the files are called."""
    return hashlib.sha256("\n".join(file.sha256 for file in (first, *weights)).encode()).hexdigest()


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that a model's own weights lie in: the model's, and its vision's where the folder has it."""
    return tuple(path for name in WEIGHT_NAMES if (path := folder / name).is_file())


def exemplar_files(folder: Path) -> tuple[Path, ...]:
    """The files of a model's bank of exemplars; none where it has no bank."""
    return tuple(path for name in (LATENTS_NAME, TABLE_NAME) if (path := folder / name).is_file())


def load(folder: Path) -> Bundle:
    """Read a bundle and check that every file is there in its full size.

    Raises:
        UserError: no bundle, written by another version, or a file missing or cut short.
    """
    path = folder / BUNDLE_FILE
    if not path.is_file():
        raise UserError(
            f"{folder} holds no {BUNDLE_FILE}: run `omniaudio build --model {folder} --target cpu -o {folder}` first, "
            "or choose --backend torch.",
            ExitCode.NO_MODEL,
        )
    try:
        bundle = Bundle.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path} is damaged or of another version ({where}: {first['msg']}): run `omniaudio build` again.",
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


def engine_for(
    folder: Path,
    bundle: Bundle,
    stage: Stage,
    *,
    flavour: Flavour,
    version: str,
    architecture: int,
    precision: Precision | None = None,
) -> Engine:
    """The newest engine of a stage that loads here; its file is `folder / engine.file`, compared with its hash.

    Args:
        folder: the bundle's.
        bundle: as `load` gave it.
        stage: which graph.
        flavour: which TensorRT is to load it.
        version: that TensorRT's own `__version__`.
        architecture: compute capability × 10 of the GPU.
        precision: which one; else whichever is newest.

    Raises:
        UserError: there is no such engine, or it is of another release, architecture or model, or damaged.
    """

    def refuse(why: str) -> UserError:
        command = f"run `omniaudio build --model {folder} --target {flavour} --arch {architecture} -o {folder}`"
        if flavour is Flavour.TENSORRT:
            command = f"run `omniaudio build --model {folder} --target {flavour} -o {folder}` on this machine"
        return UserError(f"{why}: {command}, or choose another --backend.", ExitCode.NO_BACKEND)

    found = [engine for engine in bundle.engines if engine.stage is stage and engine.flavour is flavour]
    if not found:
        raise refuse(f"{folder} holds no {flavour.label} engine of the {stage}")
    if precision is not None and not (found := [engine for engine in found if engine.precision is precision]):
        raise refuse(f"{folder} holds no {flavour.label} engine of the {stage} in {precision}")
    releases = ", ".join(dict.fromkeys(engine.version for engine in found))
    if not (found := [engine for engine in found if engine.version == version]):
        raise refuse(f"The engine of the {stage} in {folder} is of {flavour.label} {releases}, and {version} is here")
    compiled = sorted({number for engine in found for number in engine.architectures})
    if not (found := [engine for engine in found if architecture in engine.architectures]):
        listed = ", ".join(map(str, compiled))
        raise refuse(f"The engine of the {stage} in {folder} is for architecture {listed}, not for {architecture}")
    if not (found := [engine for engine in found if engine.source == bundle.source(stage)]):
        raise refuse(f"The engine of the {stage} in {folder} was made of another graph or other weights")
    engine = found[-1]
    path = folder / engine.file
    if not path.is_file():
        raise refuse(f"{path} is missing")
    if (size := path.stat().st_size) != engine.size:
        raise refuse(f"{path} is cut short or of another build, with {size} bytes instead of {engine.size}")
    if file_sha256(path) != engine.sha256:
        raise refuse(f"{path} is not what was written")
    return engine


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(
        f"The model in {folder} is damaged ({what}): reinstall it, or run `omniaudio build` again.",
        ExitCode.NO_MODEL,
    )
