"""The two TensorRTs as back-ends: they run the engines of a bundle on an NVIDIA GPU."""

from omniaudio.errors import UserError
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo.registry import Model
from trt_engine.compile.compiler import library
from trt_engine.compile.targets import ARCHITECTURES, RTX_ARCHITECTURES, Flavour, native_architecture
from trt_engine.runtime.session import describe_bundle
from trt_engine.runtime.spec import BackendSpec
from trt_engine.runtime.tensorrt.device import Device


def _spec(flavour: Flavour, devices: str) -> BackendSpec:
    def open_model(model: Model) -> Stages:
        from trt_engine.runtime.tensorrt.pipeline import TensorRtPipeline  # noqa: PLC0415 - it needs onnx

        bundle, description = describe_bundle(model, spec)
        return TensorRtPipeline(description, model.folder, bundle, flavour)

    spec = BackendSpec(
        name=flavour.value,
        label=flavour.label,
        module=flavour.module,
        distributions=(flavour.value,),
        installation=flavour.installation,
        devices=devices,
        probe=lambda: _probe(flavour),
        open=open_model,
        rank=lambda model: _rank(flavour),
    )
    return spec


def _probe(flavour: Flavour) -> str:
    library(flavour)
    device = Device()
    number = device.architecture
    if flavour is Flavour.TENSORRT_RTX and number not in RTX_ARCHITECTURES:
        raise UserError(
            f"{device.name} ({ARCHITECTURES.get(number, number)}) is not among the cards of {flavour.label}: choose "
            f"--backend {Flavour.TENSORRT}, or another one."
        )
    return f"{device.name}, architecture {number}"


def _rank(flavour: Flavour) -> int | None:
    """Before what runs on a processor, where there is a GPU; the faster one first."""
    try:
        native_architecture()
    except UserError:
        return None
    return 40 if flavour is Flavour.TENSORRT else 30


TENSORRT = _spec(Flavour.TENSORRT, "NVIDIA GPUs")
TENSORRT_RTX = _spec(Flavour.TENSORRT_RTX, "NVIDIA RTX cards")
