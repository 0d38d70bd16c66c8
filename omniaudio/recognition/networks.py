"""The two networks of recognition, by ONNX Runtime; others can be passed in by the protocol `Networks`.

`classifier.onnx` is EfficientNet-Lite0 with its own ImageNet head, applied to every patch: the mean over the patches
of a window, of logits and of features, classifies that window. `detector.onnx` is NanoDet-g, which finds
people, for whom ImageNet has no class. `build/recognition/export.py` makes both; their licences lie beside them.
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
    """The networks of recognition. Images are uint8 RGB `(batch, height, width, 3)`, with sides that are multiples of
    32."""

    def classify(self, images: RgbBatch) -> Float32:
        """For every patch of 32 × 32 pixels, `(batch, height / 32, width / 32, 2280)`: ImageNet's 1,000 logits, and the
        1,280 features before them, which classify drawings. Without features, only photographs are recognised."""
        ...

    def detect(self, image: RgbBatch) -> Sequence[Float32]:
        """For one image `(1, height, width, 3)` and each of the strides 8, 16 and 32: the distributions of the four
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

    def classify(self, images: RgbBatch) -> Float32:
        (patches,) = _run(self._classifier, images)
        return patches

    def detect(self, image: RgbBatch) -> Sequence[Float32]:
        return _run(self._detector, image)


def _run(session: Any, images: RgbBatch) -> list[Float32]:
    """All outputs of a network with one input."""
    (given,) = session.get_inputs()
    return [np.asarray(output, np.float32) for output in session.run(None, {given.name: images})]
