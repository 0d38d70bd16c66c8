"""Which graphics card is which architecture, and what each computes: what is asked for is checked before any work."""

import importlib.util
from collections.abc import Sequence
from enum import StrEnum

from omniaudio.errors import ExitCode, UserError, installation

NATIVE = "native"
"""Instead of an architecture: that of the GPU in this machine."""

ARCHITECTURES: dict[int, str] = {
    75: "Turing",
    80: "Ampere, data centre",
    86: "Ampere",
    87: "Ampere, embedded",
    89: "Ada",
    90: "Hopper",
    100: "Blackwell, data centre",
    103: "Blackwell Ultra, data centre",
    120: "Blackwell",
    121: "Blackwell, GB10",
}
"""NVIDIA's architectures by compute capability × 10 (NVIDIA, "CUDA GPU Compute Capability")."""

RTX_ARCHITECTURES = (75, 80, 86, 89, 120, 121)
"""What TensorRT-RTX 1.7 compiles for: its `ComputeCapability`."""


class Flavour(StrEnum):
    """The two TensorRTs, whose Python interfaces agree in what is used here."""

    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"

    @property
    def module(self) -> str:
        """What Python imports."""
        return self.value.replace("-", "_")

    @property
    def label(self) -> str:
        """What its maker calls it."""
        return {Flavour.TENSORRT: "TensorRT", Flavour.TENSORRT_RTX: "TensorRT-RTX"}[self]

    @property
    def installation(self) -> str:
        """What installs the package, to follow “run” in a message."""
        if self is Flavour.TENSORRT_RTX:
            return installation("rtx")
        return (
            "`pip install tensorrt cuda-bindings` and, where that brings no libraries, install NVIDIA's packages "
            "tensorrt and tensorrt_cu13_libs in the same version, 10.16 or 11, from NVIDIA's own package index"
        )

    @property
    def installed(self) -> bool:
        """Whether the package is there; it is not imported."""
        return importlib.util.find_spec(self.module) is not None


class Precision(StrEnum):
    """What a graph's matrices are multiplied in."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"


MIN_ARCHITECTURE: dict[Precision, int] = {Precision.BF16: 80, Precision.FP8: 89}
"""The first architecture whose tensor cores multiply in a precision; the other precisions run on all of them."""


def architectures(flavour: Flavour, wanted: Sequence[str], precision: Precision) -> tuple[int, ...]:
    """The architectures to compile for, ascending.

    Args:
        flavour: which TensorRT.
        wanted: compute capabilities × 10, or `native` alone; empty for the flavour's default: all that TensorRT-RTX
            knows and that compute in the precision, and `native` for TensorRT, which only compiles for the GPU at hand.
        precision: what the engines are to multiply in.

    Raises:
        UserError: there is no such architecture, the flavour does not compile for it, it cannot compute in the
            precision, or there is no GPU where one is needed.
    """
    if flavour is Flavour.TENSORRT and (other := [name for name in wanted if name != NATIVE]):
        raise UserError(
            f"TensorRT compiles for the GPU in this machine alone, not for {', '.join(other)}: leave out --arch, or "
            "choose --target tensorrt-rtx.",
        )
    if not wanted and flavour is Flavour.TENSORRT_RTX:
        lowest = MIN_ARCHITECTURE.get(precision, 0)
        return tuple(number for number in RTX_ARCHITECTURES if number >= lowest)
    if NATIVE in wanted or flavour is Flavour.TENSORRT:
        if len(set(wanted)) > 1:
            raise UserError(f"--arch takes numbers or {NATIVE}, not both: name the architectures one by one.")
        chosen = {native_architecture()}
    else:
        chosen = {_number(name) for name in wanted}
    for number in sorted(chosen):
        _check(flavour, number, precision)
    return tuple(sorted(chosen))


def native_architecture() -> int:
    """Compute capability × 10 of the first GPU in this machine.

    Raises:
        UserError: there is none, or none that can be asked.
    """
    message = "No NVIDIA GPU answers on this machine ({reason}): name what to compile for, as in --arch 89."
    try:
        from cuda.bindings import runtime  # noqa: PLC0415 - installed where engines are made or run
    except ImportError as error:
        raise UserError(
            message.format(reason=f"cuda-bindings is missing, which {installation('rtx')} brings"), ExitCode.NO_BACKEND
        ) from error
    numbers = []
    for attribute in (
        runtime.cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor,
        runtime.cudaDeviceAttr.cudaDevAttrComputeCapabilityMinor,
    ):
        try:
            status, value = runtime.cudaDeviceGetAttribute(attribute, 0)
        except RuntimeError as error:  # what cuda-bindings raises where there is no driver's library
            raise UserError(message.format(reason=str(error).splitlines()[0]), ExitCode.NO_BACKEND) from error
        if status != runtime.cudaError_t.cudaSuccess:
            raise UserError(message.format(reason=status.name), ExitCode.NO_BACKEND)
        numbers.append(value)
    major, minor = numbers
    return int(10 * major + minor)


def _number(name: str) -> int:
    if not name.isdecimal() or int(name) not in ARCHITECTURES:
        known = ", ".join(map(str, RTX_ARCHITECTURES))
        raise UserError(f"There is no architecture “{name}”: --arch takes {known}, or {NATIVE}.")
    return int(name)


def _check(flavour: Flavour, number: int, precision: Precision) -> None:
    if flavour is Flavour.TENSORRT_RTX and number not in RTX_ARCHITECTURES:
        raise UserError(
            f"TensorRT-RTX does not compile for {number} ({ARCHITECTURES.get(number, 'not known here')}): use "
            "--target tensorrt on the machine with that GPU."
        )
    lowest = MIN_ARCHITECTURE.get(precision, 0)
    if number < lowest:
        raise UserError(
            f"Architecture {number} ({ARCHITECTURES.get(number, 'not known here')}) does not compute in {precision}, "
            f"which begins with {lowest}: leave it out, or choose --precision fp16."
        )
