"""OpenVINO on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import openvino

from trt_engine.runtime.session import Array, threads

Precision = Literal["f32", "bf16"]


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (AVX512-BF16 or AMX)."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoSession:
    """One graph in OpenVINO, in float32: its own default on newer CPUs, bfloat16, is off by 4 % of the velocity."""

    def __init__(self, graph: Path, precision: Precision = "f32") -> None:
        """`precision` is a hint: a processor without bfloat16 computes in float32 whatever it says."""
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
