"""The GPU as far as engines need it: memory, pinned host memory, one stream, events and captured graphs.

Over cuda-bindings, which installs everywhere as wheels; over pycuda where only that is installed. pycuda (2026.1) knows
no CUDA graphs, which is why it does not come first: with it the same work is launched kernel by kernel.

None of this has been run on a GPU by the project's tests: they check that every name it uses is in cuda-bindings, and
what happens where there is no driver.
"""

import atexit
import ctypes
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from omniaudio.errors import ExitCode, UserError
from omniaudio.versions import distribution_versions

Array = NDArray[Any]


class DeviceArray:
    """An array in the GPU's memory; it is given back with the last reference to it."""

    def __init__(self, device: "Device", shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.nbytes = math.prod(shape) * self.dtype.itemsize
        self._driver = device.driver
        self.address = self._driver.allocate(max(1, self.nbytes))

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._driver.free(self.address)


class Device:
    """The first GPU of this machine, and a stream on it that everything is done on, in order."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            UserError: there is no GPU, no driver, or no package to reach it by.
        """
        self.driver = _open_driver()
        self.name, self.architecture = self.driver.properties()
        self._staging: Array = np.empty(0, np.uint8)
        self._staged = self.driver.record()

    @property
    def versions(self) -> dict[str, str]:
        """The version of the package that the GPU is reached by."""
        return distribution_versions(self.driver.distribution)

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return self.driver.stream

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> DeviceArray:
        """New memory with anything in it."""
        return DeviceArray(self, shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> DeviceArray:
        """New memory with zeros in it."""
        array = self.empty(shape, dtype)
        self.driver.clear(array.address, array.nbytes)
        return array

    def upload(self, array: Array) -> DeviceArray:
        """A copy of an array in new memory."""
        target = self.empty(array.shape, array.dtype)
        self.write(target, array)
        return target

    def write(self, target: DeviceArray, array: Array) -> None:
        """Overwrite the beginning of `target` with an array, through pinned memory; the caller may reuse the array."""
        staging = self._pinned(array.nbytes)
        staging[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self.driver.to_device(target.address, staging)
        self._staged = self.driver.record()

    def read(self, source: DeviceArray) -> Array:
        """A copy on the host, once all before it is done."""
        staging = self._pinned(source.nbytes)
        self.driver.to_host(staging, source.address)
        self.synchronize()
        return staging.copy().view(source.dtype).reshape(source.shape)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy between two addresses on the device."""
        self.driver.within_device(target, source, nbytes)

    def synchronize(self) -> None:
        """Wait until all is done."""
        self.driver.synchronize()

    def record(self) -> Callable[[], None]:
        """Mark this point of the stream; what it returns waits until all before it is done."""
        event = self.driver.record()
        return lambda: self.driver.wait(event)

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        """A CUDA graph of what `launches` enqueues, without running it; the returned function launches all of it at
        once.

        `launches` must neither allocate nor wait. Without graphs (pycuda) it is returned itself.
        """
        return self.driver.capture(launches)

    def _pinned(self, nbytes: int) -> Array:
        self.driver.wait(self._staged)
        if self._staging.nbytes < nbytes:
            self._staging = self.driver.pinned(nbytes)
        return self._staging[:nbytes]


def _open_driver() -> "_CudaBindings | _PyCuda":
    message = "The GPU cannot be used ({reason}): choose another --backend, or install {what}."
    reasons = []
    for driver in (_CudaBindings, _PyCuda):
        try:
            return driver()
        except ModuleNotFoundError:
            continue
        except Exception as error:  # pycuda's and cuda-bindings' own kinds, and those of a driver that is not there
            reasons.append(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
    if not reasons:
        raise UserError(message.format(reason="no cuda-bindings", what="cuda-bindings"), ExitCode.NO_BACKEND)
    raise UserError(message.format(reason=reasons[0], what="NVIDIA's driver"), ExitCode.NO_BACKEND)


class _CudaBindings:
    """CUDA's runtime by NVIDIA's cuda-bindings."""

    distribution = "cuda-bindings"

    def __init__(self) -> None:
        from cuda.bindings import runtime  # noqa: PLC0415 - installed or not

        self._cuda = runtime
        self._call(runtime.cudaSetDevice, 0)
        self.stream = int(self._call(runtime.cudaStreamCreateWithFlags, runtime.cudaStreamNonBlocking))

    def _call(self, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
        status, *results = function(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            _, text = self._cuda.cudaGetErrorString(status)
            raise RuntimeError(f"{function.__name__}: {text.decode()}")
        return results[0] if results else None

    def properties(self) -> tuple[str, int]:
        found = self._call(self._cuda.cudaGetDeviceProperties, 0)
        return found.name.decode(), 10 * found.major + found.minor

    def allocate(self, nbytes: int) -> int:
        return int(self._call(self._cuda.cudaMalloc, nbytes))

    def free(self, address: int) -> None:
        # What is under way may still read it, and cudaFree only "may" wait for that. At the end of the process both may
        # fail, and nobody is there to be told.
        self._cuda.cudaStreamSynchronize(self.stream)
        self._cuda.cudaFree(address)

    def pinned(self, nbytes: int) -> Array:
        address = int(self._call(self._cuda.cudaMallocHost, nbytes))
        buffer = (ctypes.c_uint8 * nbytes).from_address(address)
        weakref.finalize(buffer, self._cuda.cudaFreeHost, address)
        return np.ctypeslib.as_array(buffer)

    def clear(self, address: int, nbytes: int) -> None:
        self._call(self._cuda.cudaMemsetAsync, address, 0, nbytes, self.stream)

    def _copy(self, target: int, source: int, nbytes: int, kind: str) -> None:
        direction = getattr(self._cuda.cudaMemcpyKind, f"cudaMemcpy{kind}")
        self._call(self._cuda.cudaMemcpyAsync, target, source, nbytes, direction, self.stream)

    def to_device(self, address: int, host: Array) -> None:
        self._copy(address, host.ctypes.data, host.nbytes, "HostToDevice")

    def to_host(self, host: Array, address: int) -> None:
        self._copy(host.ctypes.data, address, host.nbytes, "DeviceToHost")

    def within_device(self, target: int, source: int, nbytes: int) -> None:
        self._copy(target, source, nbytes, "DeviceToDevice")

    def synchronize(self) -> None:
        self._call(self._cuda.cudaStreamSynchronize, self.stream)

    def record(self) -> Any:
        event = self._call(self._cuda.cudaEventCreateWithFlags, self._cuda.cudaEventDisableTiming)
        self._call(self._cuda.cudaEventRecord, event, self.stream)
        return _Owned(event, self._cuda.cudaEventDestroy)

    def wait(self, event: "_Owned") -> None:
        self._call(self._cuda.cudaEventSynchronize, event.handle)

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        cuda = self._cuda
        self._call(cuda.cudaStreamBeginCapture, self.stream, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed)
        try:
            launches()
        except BaseException:
            # A capture that is left open would spoil the stream. What it complains of follows from what is raised.
            status, graph = cuda.cudaStreamEndCapture(self.stream)
            if status == cuda.cudaError_t.cudaSuccess:
                cuda.cudaGraphDestroy(graph)
            raise
        graph = self._call(cuda.cudaStreamEndCapture, self.stream)
        executable = _Owned(self._call(cuda.cudaGraphInstantiate, graph, 0), cuda.cudaGraphExecDestroy)
        self._call(cuda.cudaGraphDestroy, graph)
        return lambda: self._call(cuda.cudaGraphLaunch, executable.handle, self.stream)


class _Owned:
    """A handle of CUDA's that is destroyed with the last reference to it."""

    def __init__(self, handle: Any, destroy: Callable[[Any], Any]) -> None:
        self.handle = handle
        self._destroy = destroy

    def __del__(self) -> None:
        self._destroy(self.handle)


class _PyCuda:
    """CUDA's driver by pycuda."""

    distribution = "pycuda"

    def __init__(self) -> None:
        import pycuda.driver  # noqa: PLC0415 - installed or not

        self._cuda = pycuda.driver
        self._cuda.init()
        # TensorRT works in the primary context; it stays current as long as the process lives, and no longer: a context
        # that is still current when pycuda is unloaded makes it abort the process.
        self._context = self._cuda.Device(0).retain_primary_context()
        self._context.push()
        atexit.register(self._context.pop)
        self._stream = self._cuda.Stream()
        self.stream = int(self._stream.handle)
        self._allocations: dict[int, Any] = {}

    def properties(self) -> tuple[str, int]:
        device = self._cuda.Device(0)
        major, minor = device.compute_capability()
        return device.name(), 10 * major + minor

    def allocate(self, nbytes: int) -> int:
        allocation = self._cuda.mem_alloc(nbytes)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        self._allocations.pop(address).free()

    def pinned(self, nbytes: int) -> Array:
        buffer: Array = self._cuda.pagelocked_empty(nbytes, np.uint8)
        return buffer

    def clear(self, address: int, nbytes: int) -> None:
        self._cuda.memset_d8_async(address, 0, nbytes, self._stream)

    def to_device(self, address: int, host: Array) -> None:
        self._cuda.memcpy_htod_async(address, host, self._stream)

    def to_host(self, host: Array, address: int) -> None:
        self._cuda.memcpy_dtoh_async(host, address, self._stream)

    def within_device(self, target: int, source: int, nbytes: int) -> None:
        self._cuda.memcpy_dtod_async(target, source, nbytes, self._stream)

    def synchronize(self) -> None:
        self._stream.synchronize()

    def record(self) -> Any:
        return self._cuda.Event().record(self._stream)

    def wait(self, event: Any) -> None:
        event.synchronize()

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        return launches
