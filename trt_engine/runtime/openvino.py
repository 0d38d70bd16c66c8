"""OpenVINO on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from omniaudio.errors import installation
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo.registry import Model
from trt_engine.compile import bundle
from trt_engine.compile.bundle import Stage
from trt_engine.runtime.host import open_graphs
from trt_engine.runtime.session import Array, Session, threads
from trt_engine.runtime.spec import BackendSpec

Precision = Literal["f32", "bf16"]

LARGE_BYTES = 500_000_000
"""Weights from which on the transformer is nearly all of the work, so that it is computed in bfloat16 where the
processor can: 1.8 times as fast as ONNX Runtime for the released size, with 4 % of rounding in the velocity. In a small
model the rounding would buy nothing."""


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (AVX512-BF16 or AMX)."""
    import openvino  # noqa: PLC0415 - installed or not

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoSession:
    """One graph in OpenVINO, in float32: its own default on newer CPUs, bfloat16, is off by 4 % of the velocity."""

    def __init__(self, graph: Path, precision: Precision = "f32") -> None:
        """`precision` is a hint: a processor without bfloat16 computes in float32 whatever it says."""
        import openvino  # noqa: PLC0415 - installed or not

        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if count := threads():
            options["INFERENCE_NUM_THREADS"] = str(count)
        model = openvino.Core().compile_model(str(graph), "CPU", options)
        self._request = model.create_infer_request()
        self._outputs = [output.get_any_name() for output in model.outputs]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output."""
        values = self._request.infer(dict(inputs), share_inputs=True)
        return {name: values[name].copy() for name in self._outputs}


def _probe() -> str:
    import openvino  # noqa: PLC0415 - installed or not

    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME").strip()
    return f"{name}, {'with' if has_bfloat16() else 'without'} bfloat16"


def _open(model: Model) -> Stages:
    # Only the transformer: 4 % of rounding in a decoder would be heard as noise.
    flow: Precision = "bf16" if _is_large(model) else "f32"

    def open_session(stage: Stage, graph: Path) -> Session:
        return OpenVinoSession(graph, flow if stage is Stage.VELOCITY else "f32")

    return open_graphs(model, BACKEND, open_session)


def _rank(model: Model) -> int:
    """Behind ONNX Runtime, which opens a small model's graphs sooner; before it where bfloat16 pays."""
    return 25 if _is_large(model) and has_bfloat16() else 15


def _is_large(model: Model) -> bool:
    return sum(file.size for file in bundle.load(model.folder).graph_weights) >= LARGE_BYTES


BACKEND = BackendSpec(
    name="openvino",
    label="OpenVINO",
    module="openvino",
    distributions=("openvino",),
    installation=installation("cpu"),
    devices="processors, fast on those with bfloat16",
    probe=_probe,
    open=_open,
    rank=_rank,
)
