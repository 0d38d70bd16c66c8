"""What OmniAudio is: ambisonics, panoramas, the model, sampler, training, evaluation.

Nothing that is computed here is reported to anybody. ONNX Runtime (from 1.29 on) and OpenVINO report their use to their
makers, the latter from a fork of the process that loads it, which can hang there and hold its pipes open; both are kept
from it before they can be loaded.
"""

import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# A module that is None cannot be imported; OpenVINO then goes without.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
