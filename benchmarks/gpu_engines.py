"""Does a TensorRT load what it compiles on this machine when no architecture is named?"""

from typing import Any

from omniaudio.errors import UserError
from trt_engine.compiler import library
from trt_engine.targets import Flavour

SIDE = 64


def default_engine(flavour: Flavour) -> tuple[bool, str]:
    """Compile one matrix product for the default architectures, and load it.

    TensorRT-RTX does not name Hopper among its architectures; whether its default engine loads there, only a Hopper
    can tell.

    Returns:
        Whether it loads, and a sentence that says so, or how far it came.
    """
    try:
        trt = library(flavour)
    except UserError as error:
        return False, error.sentence
    version = f"{flavour.label} {trt.__version__}"
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network: Any = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    x = network.add_input("x", trt.float32, (SIDE, SIDE))
    product = network.add_matrix_multiply(x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.NONE)
    network.mark_output(product.get_output(0))
    serialized = builder.build_serialized_network(network, builder.create_builder_config())
    if serialized is None:
        return False, f"{version} does not compile an engine for its default architectures"
    # Without a driver, or on a card that the engine is not for, there is no exception, only None.
    if trt.Runtime(log).deserialize_cuda_engine(serialized) is None:
        return False, f"{version} compiles a default engine and does not load it here"
    return True, f"{version} loads a default engine here"
