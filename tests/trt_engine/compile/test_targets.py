"""What is asked of which card: allowed or refused, in a message, before any work."""

import importlib.util

import pytest

from omniaudio.errors import ExitCode, UserError
from trt_engine.compile.targets import (
    ARCHITECTURES,
    NATIVE,
    RTX_ARCHITECTURES,
    Flavour,
    Precision,
    architectures,
    native_architecture,
)

RTX = Flavour.TENSORRT_RTX


def gpu() -> bool:
    try:
        native_architecture()
    except UserError:
        return False
    return True


without_gpu = pytest.mark.skipif(gpu(), reason="this machine has a GPU")


@pytest.mark.parametrize(
    ("precision", "lowest"), [(Precision.FP32, 75), (Precision.FP16, 75), (Precision.BF16, 80), (Precision.FP8, 89)]
)
def test_the_default_is_every_card_that_can(precision: Precision, lowest: int) -> None:
    assert architectures(RTX, [], precision) == tuple(number for number in RTX_ARCHITECTURES if number >= lowest)


def test_architectures_are_sorted_and_named_once() -> None:
    assert architectures(RTX, ["89", "75", "89"], Precision.FP16) == (75, 89)


@pytest.mark.parametrize(
    ("flavour", "wanted", "precision", "message"),
    [
        (
            RTX,
            ["75", "86"],
            Precision.BF16,
            r"75 \(Turing\) does not compute in bf16.*begins with 80.*--precision fp16",
        ),
        (RTX, ["86"], Precision.FP8, r"86 \(Ampere\) does not compute in fp8.*begins with 89"),
        (RTX, ["90"], Precision.FP16, r"90 \(Hopper\): use --target tensorrt on the machine"),
        (RTX, ["42"], Precision.FP16, "no architecture “42”: --arch takes 75, 80"),
        (RTX, ["ada"], Precision.FP16, "no architecture “ada”"),
        (RTX, ["native", "89"], Precision.FP16, "not both"),
        (Flavour.TENSORRT, ["89"], Precision.FP16, "GPU in this machine alone, not for 89"),
    ],
)
def test_the_impossible_is_refused(flavour: Flavour, wanted: list[str], precision: Precision, message: str) -> None:
    with pytest.raises(UserError, match=message):
        architectures(flavour, wanted, precision)


@without_gpu
@pytest.mark.parametrize("flavour", Flavour)
def test_native_needs_a_gpu(flavour: Flavour) -> None:
    with pytest.raises(UserError, match=r"No NVIDIA GPU answers.*--arch 89") as raised:
        architectures(flavour, [NATIVE], Precision.FP16)
    assert raised.value.code is ExitCode.NO_BACKEND


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")
def test_the_library_knows_exactly_these_architectures() -> None:
    import tensorrt_rtx  # noqa: PLC0415

    known = {name for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")}
    assert known == {f"SM{number}" for number in RTX_ARCHITECTURES}
    assert set(RTX_ARCHITECTURES) < set(ARCHITECTURES)
