"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from trt_engine.runtime.session import Array, threads


class OnnxRuntimeSession:
    """One graph in ONNX Runtime."""

    def __init__(self, graph: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.use_deterministic_compute = True
        options.intra_op_num_threads = threads() or 0
        # Waiting threads that spin take the cores away from the picture decoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output."""
        values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))
