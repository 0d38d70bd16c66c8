"""What back-ends share: a graph that runs, named tensors in and out; and what a model that is opened says of itself."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from omniaudio.config import ModelConfig, load_config
from omniaudio.generation.exemplars import NO_EXEMPLARS, Bank
from omniaudio.model_zoo.registry import Model
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Bundle
from trt_engine.runtime.spec import BackendSpec

Array = NDArray[Any]


class Session(Protocol):
    """A graph that is ready to run."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output. The same inputs give the same bits again; wrong names or shapes raise."""
        ...


@dataclass(frozen=True)
class Description:
    """What a sidecar says of a pipeline: the model's name, the SHA-256 of config and weights, what runs it, and the
    versions of the libraries that do; and the model's exemplars."""

    name: str
    identity: str
    config: ModelConfig
    backend: str
    exemplars: Bank = NO_EXEMPLARS
    versions: Mapping[str, str] = field(default_factory=dict)


class Described:
    """Begins every implementation of `omniaudio.generation.pipeline.Stages`."""

    def __init__(self, description: Description) -> None:
        self.name = description.name
        self.identity = description.identity
        self.config = description.config
        self.backend = description.backend
        self.exemplars = description.exemplars
        self.versions = description.versions


def describe_bundle(model: Model, spec: BackendSpec) -> tuple[Bundle, Description]:
    """A model's bundle, and what to say of it on a back-end.

    Raises:
        UserError: no bundle, or a damaged one.
    """
    found = bundle.load(model.folder)
    config = load_config(model.folder / found.config.file)
    exemplars = Bank.load(model.folder)
    return found, Description(model.name, found.identity, config, spec.name, exemplars, spec.versions)


def describe_folder(model: Model, spec: BackendSpec) -> Description:
    """What to say of a model on a back-end that needs no bundle, but its config and weights; the same identity.

    Raises:
        UserError: a damaged model.
    """
    weights = (*bundle.weight_files(model.folder), *bundle.exemplar_files(model.folder))
    identity = bundle.identity(bundle.record(model.config), tuple(map(bundle.record, weights)))
    config = load_config(model.config)
    return Description(model.name, identity, config, spec.name, Bank.load(model.folder), spec.versions)


def threads() -> int | None:
    """How many threads a back-end may use: OMP_NUM_THREADS where it is set, else its own choice.

    ONNX Runtime and OpenVINO choose the physical cores.
    """
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() and int(value) > 0 else None
