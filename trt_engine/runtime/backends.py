"""Which back-ends can be used on this machine, on what, and if not, why and what helps."""

import importlib.metadata
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from omniaudio.errors import UserError
from trt_engine.compile.compiler import library
from trt_engine.compile.targets import ARCHITECTURES, RTX_ARCHITECTURES, Flavour
from trt_engine.runtime.session import GRAPHICS, Backend
from trt_engine.runtime.tensorrt.device import Device


class Presence(BaseModel):
    """A back-end on this machine. `hindrance` is one sentence that says why not, and what to do."""

    model_config = ConfigDict(frozen=True)

    backend: Backend
    usable: bool
    version: str | None = None
    device: str | None = None
    hindrance: str | None = None


def presence(backend: Backend) -> Presence:
    """Try a back-end as far as its device; whatever it fails with becomes a sentence."""
    if not backend.installed:
        hindrance = f"It is not installed: run {backend.installation}."
        return Presence(backend=backend, usable=False, hindrance=hindrance)
    version = _version(backend)
    try:
        device = _gpu(Flavour(backend)) if backend in GRAPHICS else _DEVICES[backend]()
    except UserError as error:
        hindrance = error.sentence
    except Exception as error:  # a package's import may fail with anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hindrance = f"It does not load ({reason}): install it anew with {backend.installation}."
    else:
        return Presence(backend=backend, usable=True, version=version, device=device)
    return Presence(backend=backend, usable=False, version=version, hindrance=hindrance)


def _version(backend: Backend) -> str | None:
    try:
        return importlib.metadata.version(backend.module)
    except importlib.metadata.PackageNotFoundError:  # onnxruntime-gpu and others that bring the same module
        return None


def _gpu(flavour: Flavour) -> str:
    library(flavour)
    device = Device()
    number = device.architecture
    if flavour is Flavour.TENSORRT_RTX and number not in RTX_ARCHITECTURES:
        raise UserError(
            f"{device.name} ({ARCHITECTURES.get(number, number)}) is none of TensorRT-RTX's cards: use "
            f"--backend {Backend.TENSORRT} or {Backend.TORCH}."
        )
    return f"{device.name}, architecture {number}"


def _openvino() -> str:
    import openvino  # noqa: PLC0415 - each is installed or not

    core = openvino.Core()
    bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}, {'with' if bf16 else 'without'} bfloat16"


def _onnxruntime() -> str:
    import onnxruntime  # noqa: PLC0415

    onnxruntime.get_available_providers()
    return "CPU"


def _torch() -> str:
    import torch  # noqa: PLC0415

    from trt_engine.runtime.torch import best_device  # noqa: PLC0415

    device = best_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


_DEVICES: dict[Backend, Callable[[], str]] = {
    Backend.OPENVINO: _openvino,
    Backend.ONNXRUNTIME: _onnxruntime,
    Backend.TORCH: _torch,
}
