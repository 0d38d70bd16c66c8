"""What every back-end offers: a graph that runs, named tensors in and out; and what the back-ends are called."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from numpy.typing import NDArray

from omniaudio.config import ModelConfig
from omniaudio.errors import ExitCode, UserError, installation
from omniaudio.generation.exemplars import NO_EXEMPLARS, Bank

Array = NDArray[Any]


class Session(Protocol):
    """A graph that is ready to run."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output. The same inputs give the same bits again; wrong names or shapes raise."""
        ...


class Backend(StrEnum):
    """The back-ends; `GRAPHICS` and `PROCESSORS` say in which order `auto` tries them."""

    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"

    @property
    def module(self) -> str:
        """The Python package that it needs."""
        return self.value.replace("-", "_")

    @property
    def installed(self) -> bool:
        """Whether the package is there; it is not imported."""
        return importlib.util.find_spec(self.module) is not None

    @property
    def installation(self) -> str:
        """What installs the package, to stand in a sentence."""
        extras = {
            Backend.TENSORRT: "`pip install tensorrt cuda-bindings`",
            Backend.TENSORRT_RTX: installation("rtx"),
            Backend.TORCH: installation("torch"),
        }
        return extras.get(self, installation("cpu"))


GRAPHICS = (Backend.TENSORRT, Backend.TENSORRT_RTX)
"""Those that run engines on an NVIDIA GPU, the faster one first."""
PROCESSORS = (Backend.ONNXRUNTIME, Backend.OPENVINO)
"""Those that run graphs on the CPU. Processor seconds for 10 s by a model of the draft's size, one thread, graphs
opened / clip made: ONNX Runtime 0.3 / 7.9, OpenVINO 2.3 / 8.3. torch is only taken where it is asked for."""

AUTO = "auto"


@dataclass(frozen=True)
class Description:
    """What a sidecar says of a pipeline: the model's name, the SHA-256 of config and weights, and what runs it; and
    the model's exemplars."""

    name: str
    identity: str
    config: ModelConfig
    backend: Backend
    exemplars: Bank = NO_EXEMPLARS


class Described:
    """Begins every implementation of `omniaudio.generation.pipeline.Stages`."""

    def __init__(self, description: Description) -> None:
        self.name = description.name
        self.identity = description.identity
        self.config = description.config
        self.backend = description.backend
        self.exemplars = description.exemplars


def named(name: str) -> Backend:
    """The back-end of a name.

    Raises:
        UserError: there is none, or it is not installed.
    """
    try:
        backend = Backend(name)
    except ValueError:
        known = ", ".join(Backend)
        raise UserError(
            f"There is no back-end “{name}”: choose {AUTO} or one of {known}.", ExitCode.NO_BACKEND
        ) from None
    if not backend.installed:
        raise UserError(
            f"The back-end {backend} is not installed: run {backend.installation}, or choose --backend auto.",
            ExitCode.NO_BACKEND,
        )
    return backend


def threads() -> int | None:
    """How many threads a back-end may use: OMP_NUM_THREADS where it is set, else its own choice.

    ONNX Runtime and OpenVINO choose the physical cores.
    """
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() and int(value) > 0 else None
