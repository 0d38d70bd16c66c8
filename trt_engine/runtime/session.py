"""What every back-end offers: a graph that runs, named tensors in and named tensors out."""

import importlib.util
import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from numpy.typing import NDArray

from omniaudio.errors import ExitCode, UserError

Array = NDArray[Any]


class Session(Protocol):
    """A graph that is ready to run."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output. The same inputs give the same bits again."""
        ...


class Backend(StrEnum):
    """The back-ends by the name of the Python package that each needs, in the order in which `auto` tries them.

    Processor seconds for 10 s by a model of the draft's size, one thread, graphs opened / clip made: ONNX Runtime
    0.3 / 7.9, OpenVINO 2.3 / 8.3. torch is only taken where it is asked for.
    """

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    TORCH = "torch"

    @property
    def installed(self) -> bool:
        """Whether the package is there; it is not imported."""
        return importlib.util.find_spec(self.value) is not None


AUTO = "auto"


def choose(name: str) -> tuple[Backend, ...]:
    """The back-ends to try for a name, in order: one for a back-end's own name, those that are here for `auto`.

    Raises:
        UserError: an unknown name, or a back-end that is not installed.
    """
    if name == AUTO:
        found = tuple(backend for backend in Backend if backend.installed and backend is not Backend.TORCH)
        if not found:
            raise UserError(
                "No back-end is installed: run `pip install 'omniaudio-blender[cpu]'`.", ExitCode.NO_BACKEND
            )
        return found
    try:
        backend = Backend(name)
    except ValueError:
        known = ", ".join(Backend)
        raise UserError(
            f"There is no back-end “{name}”: choose {AUTO} or one of {known}.", ExitCode.NO_BACKEND
        ) from None
    if not backend.installed:
        raise UserError(
            f"The back-end {backend} is not installed: run `pip install {backend}`, or choose --backend auto.",
            ExitCode.NO_BACKEND,
        )
    return (backend,)


def threads() -> int | None:
    """How many threads a back-end may use: OMP_NUM_THREADS where it is set, else its own choice, the physical cores."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() and int(value) > 0 else None
