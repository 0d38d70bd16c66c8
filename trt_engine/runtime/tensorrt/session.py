"""TensorRT and TensorRT-RTX: an engine that is loaded, told its shapes and addresses, and launched on a stream.

Nothing here has been run on a GPU by the project's tests. They check every name against TensorRT-RTX's Python
interface, compile engines for it, and load them as far as a machine without a driver goes.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from omniaudio.errors import ExitCode, UserError
from omniaudio.files import replacing
from trt_engine.compile.compiler import library, logger
from trt_engine.compile.targets import Flavour
from trt_engine.runtime.session import Array
from trt_engine.runtime.tensorrt.device import Device, DeviceArray

HEADER_BYTES = 64 * 1024
"""So much of an engine's beginning tells TensorRT-RTX whether it is one for this machine."""

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where what was compiled on this machine is kept; it may be deleted at any time."""
    return platformdirs.user_cache_path("omniaudio", appauthor=False) / "engines"


class TensorRtSession:
    """One engine, on the device's stream.

    Scratch memory is the caller's (`USER_MANAGED`): as much as the shapes of the call need, not as the largest ones
    that the engine was built for.

    TensorRT-RTX finishes compilation on the user's card, kernel by kernel. Three settings decide what that costs:

    - *The runtime cache* holds the kernels that were compiled so far. It is kept in the user's cache folder, a file for
      each engine, release and card, read before the execution context is made and written after the first run at
      shapes that are new here; TensorRT-RTX itself refuses one of another driver or card. So only the first run on a
      machine waits for the compiler.
    - *Kernels for dynamic shapes* are specialised at once (`EAGER`), not in the background while a slower kernel runs
      (`LAZY`): a graph that is captured meanwhile would hold the slower one for ever, and the same seed would give
      other bits once the better one is there.
    - *CUDA graphs*: TensorRT-RTX captures a whole engine by itself (`WHOLE_GRAPH_CAPTURE`) where it runs alone, as
      vision, conditioner and decoder do. The sampler's step is captured by the pipeline, several runs of several
      engines as one graph, and inside of another capture TensorRT-RTX must not make its own (`DISABLED`).

    TensorRT has none of the three: its engines are compiled when they are built, and graphs are captured by the caller.
    """

    def __init__(self, engine: Path, flavour: Flavour, device: Device, captured: bool = False) -> None:
        """Load an engine.

        Args:
            engine: its file, whose hash has been compared.
            flavour: by which TensorRT.
            device: where.
            captured: whether the caller captures its runs in a CUDA graph.

        Raises:
            UserError: the library is missing, or does not take the engine.
        """
        trt = library(flavour)
        self._device = device
        self._trt = trt
        self._runtime = trt.Runtime(logger(trt, trt.ILogger.Severity.WARNING, _log.warning))
        content = engine.read_bytes()
        self._engine = load_engine(trt, self._runtime, content, engine, flavour)
        self._cache: Any = None
        if flavour is Flavour.TENSORRT_RTX:
            key = hashlib.sha256(f"{trt.__version__} {device.name} ".encode() + content).hexdigest()[:24]
            self._cache_file = cache_folder() / f"{engine.stem}.{key}.kernels"
            self._config = self._configure(captured)  # kept: nothing says that the context does not borrow it
            self._context = self._engine.create_execution_context(self._config)
        else:
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            self._context = self._engine.create_execution_context(strategy)
        if self._context is None:
            raise UserError(
                f"{flavour.label} has not the memory to run {engine}: end what else uses the GPU, or choose another "
                "--backend.",
                ExitCode.NO_BACKEND,
            )
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.dtypes = {name: np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in names}
        self.inputs = tuple(inputs)
        self.outputs = tuple(name for name in names if name not in inputs)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._known_shapes: set[tuple[tuple[int, ...], ...]] = set()
        self._scratch: DeviceArray | None = None

    def greatest(self, name: str) -> tuple[int, ...]:
        """The largest shape of an input."""
        return tuple(self._engine.get_tensor_profile_shape(name, 0)[2])

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Set the inputs' shapes, and provide for them; gives the outputs' shapes.

        Raises:
            ValueError: another input than the engine's, or a size that it was not built for.
        """
        if set(shapes) != set(self.inputs):
            raise ValueError(f"the engine takes {sorted(self.inputs)}, not {sorted(shapes)}")
        if dict(shapes) != self._shapes:
            self._shapes = {}  # what fails below leaves none that count as set
            for name, shape in shapes.items():
                if not self._context.set_input_shape(name, shape):
                    raise ValueError(f"the engine does not take {name} of the shape {shape}")
            if missing := self._context.infer_shapes():
                raise ValueError(f"the engine has no shape for {missing}")
            needed = self._context.update_device_memory_size_for_shapes()
            if self._scratch is None or self._scratch.nbytes < needed:
                self._scratch = None  # its memory first
                self._scratch = self._device.empty((max(1, needed),), np.uint8)
            self._context.set_device_memory(self._scratch.address, self._scratch.nbytes)
            self._shapes = dict(shapes)
        return {name: tuple(self._context.get_tensor_shape(name)) for name in self.outputs}

    def launch(self, addresses: Mapping[str, int]) -> None:
        """Enqueue a run from and to memory of the shapes that were set, named by its addresses."""
        for name in (*self.inputs, *self.outputs):
            if not self._context.set_tensor_address(name, addresses[name]):
                raise ValueError(f"the engine does not take {name} at {addresses[name]:#x}")
        if not self._context.execute_async_v3(self._device.stream):
            raise RuntimeError("the engine could not be launched")

    def compute(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        """Enqueue a run with arrays of the device; the outputs are new ones there."""
        shapes = self.shape({name: array.shape for name, array in inputs.items()})
        for name, array in inputs.items():
            if array.dtype != self.dtypes[name]:
                raise ValueError(f"the engine takes {name} as {self.dtypes[name]}, not {array.dtype}")
        outputs = {name: self._device.empty(shape, self.dtypes[name]) for name, shape in shapes.items()}
        self.launch({name: array.address for name, array in {**inputs, **outputs}.items()})
        self.keep_kernels()
        return outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output, from and to the host."""
        outputs = self.compute({name: self._device.upload(array) for name, array in inputs.items()})
        return {name: self._device.read(array) for name, array in outputs.items()}

    def keep_kernels(self) -> None:
        """Write TensorRT-RTX's runtime cache, if a run at new shapes has just been enqueued."""
        key = tuple(self._shapes[name] for name in self.inputs)
        if self._cache is None or key in self._known_shapes:
            return
        self._known_shapes.add(key)
        try:
            self._cache_file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._cache_file) as partial:
                partial.write_bytes(bytes(self._cache.serialize()))
        except (OSError, UserError) as error:
            _log.warning("Compiled kernels cannot be kept (%s): the next start compiles them again.", error)

    def _configure(self, captured: bool) -> Any:
        trt, config = self._trt, self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        strategies = trt.CudaGraphStrategy
        config.cuda_graph_strategy = strategies.DISABLED if captured else strategies.WHOLE_GRAPH_CAPTURE
        self._cache = config.create_runtime_cache()
        if self._cache_file.is_file() and not self._cache.deserialize(self._cache_file.read_bytes()):
            _log.info("%s is of another driver or card: kernels are compiled again.", self._cache_file)
        config.set_runtime_cache(self._cache)
        return config


def load_engine(trt: Any, runtime: Any, content: bytes, file: Path, flavour: Flavour) -> Any:
    """An engine of its bytes.

    TensorRT says what it does not like to its logger and returns None.

    Raises:
        UserError: it is none for this library, card and driver.
    """
    message = f"{flavour.label} {trt.__version__} cannot load {file} on this machine: " + (
        "check that an NVIDIA driver and GPU are here, run `omniaudio build` again, or choose another --backend."
    )
    if flavour is Flavour.TENSORRT_RTX:
        validity, _ = runtime.get_engine_validity(content[:HEADER_BYTES])
        if validity == trt.EngineValidity.INVALID:
            raise UserError(message, ExitCode.NO_BACKEND)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise UserError(message, ExitCode.NO_BACKEND)
    return engine
