"""One graph to one engine, by either TensorRT, in a process of its own.

A separate compiler can be stopped at once, frees its memory after every graph, and may crash alone. It uses only the
part of the Python interface that both TensorRTs have, except for the two lines that set the architectures of
TensorRT-RTX.
"""

import importlib
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from omniaudio.errors import ExitCode, UserError
from trt_engine.compile.bundle import Sizes
from trt_engine.compile.targets import Flavour


class CompileError(Exception):
    """What a compiler says that it cannot do, in its own words."""


@dataclass(frozen=True)
class Job:
    """A graph, its constants beside it, and what to compile it for.

    `architectures` are compute capabilities × 10; TensorRT takes that of the GPU at hand whatever they are. The graph
    must have the inputs of `profile` and these `outputs`.
    """

    flavour: Flavour
    graph: Path
    architectures: tuple[int, ...]
    profile: dict[str, Sizes]
    outputs: tuple[str, ...]


def library(flavour: Flavour) -> Any:
    """The Python module of a TensorRT.

    Raises:
        UserError: it is not installed, or lacks its libraries.
    """
    try:
        return importlib.import_module(flavour.module)
    except ImportError as error:
        raise UserError(
            f"{flavour.label} cannot be used here ({error}): run {flavour.installation}.", ExitCode.NO_BACKEND
        ) from error


def logger(trt: Any, least: Any, say: Callable[[str], None]) -> Any:
    """A logger for either TensorRT, whose own writes to standard output, where a program's answers are read.

    Args:
        trt: as `library` gives it.
        least: the `trt.ILogger.Severity` from which on a message is told.
        say: is told it.
    """

    class Log(trt.ILogger):  # type: ignore[misc]  # known when it is imported
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= least:
                say(message)

    return Log()


def compile_apart(job: Job, target: Path) -> None:
    """Compile in a new process, which ends whenever this call does.

    Args:
        job: what to compile.
        target: where the engine is written to.

    Raises:
        CompileError: the compiler refuses the graph, or died.
        OSError: `target` cannot be written.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_compile, args=(job, target, sender), daemon=True)
    process.start()
    sender.close()
    try:
        failure: Exception | None = receiver.recv()
    except EOFError:
        process.join()
        raise CompileError(f"it died with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if failure is not None:
        raise failure


def _compile(job: Job, target: Path, sender: Connection) -> None:
    """The new process: sends None, or the error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    try:
        compile_graph(job, target)
    except (CompileError, OSError) as error:
        sender.send(error)
    else:
        sender.send(None)


def compile_graph(job: Job, target: Path) -> None:
    """Compile in this process; as `compile_apart`."""
    trt = library(job.flavour)
    complaints: list[str] = []
    log = logger(trt, trt.ILogger.Severity.ERROR, complaints.append)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(job.graph)):
        raise CompileError("; ".join(parser.get_error(index).desc() for index in range(parser.num_errors)))
    inputs = {network.get_input(index).name for index in range(network.num_inputs)}
    outputs = {network.get_output(index).name for index in range(network.num_outputs)}
    if inputs != set(job.profile) or outputs != set(job.outputs):
        raise CompileError(f"the graph is from {sorted(inputs)} to {sorted(outputs)}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # what a graph keeps in float32, it keeps for its digits
    if job.flavour is Flavour.TENSORRT_RTX:
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # else no CUDA graph can be captured of it
        config.num_compute_capabilities = len(job.architectures)
        for index, number in enumerate(job.architectures):
            config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{number}"), index)
    profile = builder.create_optimization_profile()
    for name, sizes in job.profile.items():
        profile.set_shape(name, sizes.minimum, sizes.optimum, sizes.maximum)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise CompileError(complaints[0] if complaints else "it gave no reason")
    target.write_bytes(engine)
