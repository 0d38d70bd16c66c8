"""The back-ends: one line for each that comes with the project, and those that other packages bring.

A package brings back-ends of its own by entry points (https://packaging.python.org/en/latest/specifications/entry-points/)
of the group `omniaudio.backends`, whose values are of the form of those below; a program adds one by `register`.
"""

import importlib.metadata
import logging
from importlib.metadata import EntryPoint

from pydantic import BaseModel, ConfigDict

from omniaudio.errors import ExitCode, UserError
from trt_engine.runtime.spec import BackendSpec

AUTO = "auto"
"""Instead of a back-end's name: the best one for the model that works here."""

GROUP = "omniaudio.backends"

_BUILT_IN = {
    "tensorrt": "trt_engine.runtime.tensorrt.backend:TENSORRT",
    "tensorrt-rtx": "trt_engine.runtime.tensorrt.backend:TENSORRT_RTX",
    "openvino": "trt_engine.runtime.openvino:BACKEND",
    "onnxruntime": "trt_engine.runtime.onnxruntime:BACKEND",
    "torch": "trt_engine.runtime.torch.backend:BACKEND",
}
"""Module and name of each `BackendSpec`. Importing it imports no library that runs models."""

_registered: dict[str, BackendSpec] = {}

_log = logging.getLogger(__name__)


class BackendState(BaseModel):
    """A back-end on this machine. `reason` says why it is not available and what to do."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    available: bool
    devices: str
    """What it can run on, anywhere."""
    device: str | None = None
    """What it would run on here."""
    versions: dict[str, str] = {}
    reason: str | None = None


def register(spec: BackendSpec) -> None:
    """Add a back-end to those of this process. A service's workers are processes of their own: for these, declare an
    entry point.

    Raises:
        ValueError: there is one of this name.
    """
    if spec.name in backends():
        raise ValueError(f"there is a back-end {spec.name!r} already")
    _registered[spec.name] = spec


def backends() -> dict[str, BackendSpec]:
    """All that are known, by name, whether they can be used here or not."""
    points = [EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()]
    found: dict[str, BackendSpec] = {}
    for point in (*points, *importlib.metadata.entry_points(group=GROUP)):
        spec = _loaded(point)
        if spec is not None:
            found.setdefault(spec.name, spec)
    return found | _registered


def named(name: str) -> BackendSpec:
    """The back-end of a name.

    Raises:
        UserError: there is none, or it is not installed.
    """
    known = backends()
    if name not in known:
        raise UserError(
            f"There is no back-end “{name}”: choose {AUTO} or one of {', '.join(known)}.", ExitCode.NO_BACKEND
        )
    if not known[name].installed:
        raise UserError(
            f"The back-end {name} is not installed: run {known[name].installation}, or choose --backend {AUTO}.",
            ExitCode.NO_BACKEND,
        )
    return known[name]


def state(spec: BackendSpec) -> BackendState:
    """Try a back-end as far as its device; whatever it fails with becomes the reason."""
    found = BackendState(name=spec.name, label=spec.label, available=False, devices=spec.devices)
    if not spec.installed:
        return found.model_copy(update={"reason": f"It is not installed: run {spec.installation}."})
    found = found.model_copy(update={"versions": dict(spec.versions)})
    try:
        return found.model_copy(update={"available": True, "device": spec.probe()})
    except UserError as error:
        reason = error.message
    except Exception as error:  # a package's import may fail with anything
        reason = f"It does not load ({said_by(error)}): install it again with {spec.installation}."
    return found.model_copy(update={"reason": reason})


def said_by(error: Exception) -> str:
    """What an exception says, to stand within a message: its first line, or its kind where it says nothing."""
    if isinstance(error, UserError):
        return error.message.removesuffix(".")
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _loaded(point: EntryPoint) -> BackendSpec | None:
    try:
        spec = point.load()
    except Exception as error:  # another package's module; it must not keep the others from working
        _log.warning("The back-end %s (%s) cannot be loaded: %s.", point.name, point.value, said_by(error))
        return None
    if not isinstance(spec, BackendSpec) or spec.name != point.name:
        _log.warning("The entry point %s (%s) is not the BackendSpec of that name.", point.name, point.value)
        return None
    return spec
