"""Add a back-end of your own, and generate with it.

This one runs the graphs of a model in ONNX Runtime and prints the time of each stage; any library that runs ONNX graphs
could take its place. `register` adds it to this process. A package adds one to all commands and to the service by an
entry point of the group `omniaudio.backends`.

    python examples/own_backend.py clip.mp4 --duration 2
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import onnxruntime

import omniaudio
from omniaudio.errors import UserError
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo.registry import Model
from trt_engine.compile.bundle import Stage
from trt_engine.runtime.backends import register
from trt_engine.runtime.host import open_graphs
from trt_engine.runtime.session import Array
from trt_engine.runtime.spec import BackendSpec


class TimedSession:
    """One graph of a model."""

    def __init__(self, stage: Stage, graph: Path) -> None:
        self.stage = stage
        self.session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs, by name."""
        begin = time.perf_counter()
        values = self.session.run(self.outputs, dict(inputs))
        print(f"{self.stage}: {time.perf_counter() - begin:.3f} s")
        return dict(zip(self.outputs, values, strict=True))


def open_model(model: Model) -> Stages:
    """Open a model; each of its graphs is loaded when it is first needed."""
    return open_graphs(model, TIMED, TimedSession)


TIMED = BackendSpec(
    name="timed",
    label="ONNX Runtime with a stop watch",
    module="onnxruntime",
    distributions=("onnxruntime",),
    installation="`pip install onnxruntime`",
    devices="any processor",
    probe=lambda: "CPU",
    open=open_model,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="a 360° video or still image")
    parser.add_argument("--duration", type=float, help="seconds; required for a still image")
    arguments = parser.parse_args()
    register(TIMED)
    try:
        result = omniaudio.generate(arguments.clip, backend=TIMED.name, duration=arguments.duration)
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(f"{result.takes[0].sound}, on {result.backend}")


if __name__ == "__main__":
    main()
