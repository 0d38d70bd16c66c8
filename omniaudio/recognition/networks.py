"""The two networks that recognition looks with, by ONNX Runtime; whoever has other sessions gives those.

`classifier.onnx` is EfficientNet-Lite0 with its own ImageNet head, applied to every patch: the mean over a window's
patches, of logits and of features, is what the network says of that window. `detector.onnx` is NanoDet-g, which finds
people, of which ImageNet knows nothing. `build/recognition/export.py` makes both; their licences lie beside them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from omniaudio.errors import ExitCode, UserError, installation
from omniaudio.video.panorama import RgbBatch

FOLDER = Path(__file__).parent / "weights"

Float32 = npt.NDArray[np.float32]


class Networks(Protocol):
    """What recognition asks of the networks. Pictures are uint8 `(batch, height, width, 3)` RGB, sides multiples of
    32."""

    def classify(self, pictures: RgbBatch) -> Float32:
        """What every patch of 32 × 32 pixels shows, `(batch, height / 32, width / 32, 2280)`: ImageNet's 1,000 logits,
        and the 1,280 features behind them, by which drawings are named. Without features, photographs alone are."""
        ...

    def detect(self, picture: RgbBatch) -> Sequence[Float32]:
        """Of one picture `(1, height, width, 3)`, for the strides 8, 16 and 32 in turn: the distributions of the four
        sides' distances `(1, 44, rows, columns)`, and the probabilities of COCO's classes `(1, 80, rows, columns)`."""
        ...


class OnnxNetworks:
    """The shipped networks on the CPU."""

    def __init__(self) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - not always installed
        except ImportError as error:
            raise UserError(
                f"Finding sources needs ONNX Runtime: run {installation('cpu')}.", ExitCode.NO_BACKEND
            ) from error
        options = onnxruntime.SessionOptions()
        options.use_deterministic_compute = True
        threads = os.environ.get("OMP_NUM_THREADS", "")
        options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
        # Waiting threads that spin take the cores away from the video's decoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")

        def session(name: str) -> Any:
            return onnxruntime.InferenceSession(str(FOLDER / name), options, providers=["CPUExecutionProvider"])

        self._classifier, self._detector = session("classifier.onnx"), session("detector.onnx")

    def classify(self, pictures: RgbBatch) -> Float32:
        (patches,) = self._classifier.run(["patches"], {"pictures": pictures})
        return np.asarray(patches, np.float32)

    def detect(self, picture: RgbBatch) -> Sequence[Float32]:
        return [np.asarray(output, np.float32) for output in self._detector.run(None, {"pictures": picture})]
