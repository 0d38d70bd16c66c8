"""The released size by TensorRT's engines, and whether a TensorRT loads here what it compiles by default."""

from pathlib import Path
from typing import Any

from benchmarks.model import RELEASED
from omniaudio.config import load_config
from omniaudio.errors import UserError
from omniaudio.generation.pipeline import Stages
from trt_engine.compile.compiler import library
from trt_engine.compile.profiles import Limits
from trt_engine.compile.targets import NATIVE, Flavour, Precision, architectures
from trt_engine.runtime.session import Description

SIDE = 64


def default_engine(flavour: Flavour) -> tuple[bool, str]:
    """Compile one matrix product for the default architectures, and load it.

    TensorRT-RTX does not name Hopper among its architectures; whether its default engine loads there, only a Hopper
    can tell.

    Returns:
        Whether it loads, and a message that says so, or how far it came.
    """
    try:
        trt = library(flavour)
    except UserError as error:
        return False, error.message
    version = f"{flavour.label} {trt.__version__}"
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network: Any = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    x = network.add_input("x", trt.float32, (SIDE, SIDE))
    product = network.add_matrix_multiply(x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.NONE)
    network.mark_output(product.get_output(0))
    serialized = builder.build_serialized_network(network, builder.create_builder_config())
    if serialized is None:
        return False, f"{version} does not compile an engine for its default architectures."
    # Without a driver, or on a card that the engine is not for, there is no exception, only None.
    if trt.Runtime(log).deserialize_cuda_engine(serialized) is None:
        return False, f"{version} compiles a default engine and does not load it here."
    return True, f"{version} loads a default engine here."


def open_engines(flavour: Flavour, folder: Path) -> Stages:
    """The released size with random weights, compiled in fp16 for the GPU in this machine; takes minutes.

    Raises:
        UserError: this flavour does not compile for this GPU, or refuses the model.
        ImportError: what exporting needs is not here.
    """
    from benchmarks.prepare import write_model  # noqa: PLC0415 - needs transformers, and exporting needs onnx
    from trt_engine.bundling.builder import Order, build  # noqa: PLC0415
    from trt_engine.runtime.tensorrt.pipeline import TensorRtPipeline  # noqa: PLC0415

    precision = Precision.FP16
    targets = architectures(flavour, [NATIVE], precision)
    model = write_model(RELEASED, folder)
    order = Order(flavour, targets, precision, Limits(max_seconds=10.0, max_takes=1))
    bundle, _ = build(model, model.folder, order, lambda report: None)
    description = Description(model.name, "", load_config(model.config), flavour)
    return TensorRtPipeline(description, model.folder, bundle, flavour)
