"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path

from omniaudio.errors import installation
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo.registry import Model
from trt_engine.runtime.host import open_graphs
from trt_engine.runtime.session import Array, threads
from trt_engine.runtime.spec import BackendSpec


class OnnxRuntimeSession:
    """One graph in ONNX Runtime."""

    def __init__(self, graph: Path) -> None:
        import onnxruntime  # noqa: PLC0415 - installed or not

        options = onnxruntime.SessionOptions()
        options.use_deterministic_compute = True
        options.intra_op_num_threads = threads() or 0
        # Waiting threads that spin take cores away from the video decoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute every output."""
        values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))


def _probe() -> str:
    import onnxruntime  # noqa: PLC0415 - installed or not

    onnxruntime.get_available_providers()
    return "CPU"


def _open(model: Model) -> Stages:
    return open_graphs(model, BACKEND, lambda stage, graph: OnnxRuntimeSession(graph))


def _rank(model: Model) -> int:
    """Processor seconds for 10 s by a model of the draft's size, one thread, graphs opened / clip made: 0.3 / 7.9;
    OpenVINO 2.3 / 8.3."""
    return 20


BACKEND = BackendSpec(
    name="onnxruntime",
    label="ONNX Runtime",
    module="onnxruntime",
    distributions=("onnxruntime", "onnxruntime-gpu"),  # either brings the module
    installation=installation("cpu"),
    devices="any processor",
    probe=_probe,
    open=_open,
    rank=_rank,
)
