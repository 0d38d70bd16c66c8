"""OmniAudio: spatial audio for 360° video. Ambisonics, panoramas, the model, its training and evaluation.

The functions below are the Python API (`docs/api.md`); their module is imported on first use, so that
`import omniaudio` stays cheap.

There is no telemetry. ONNX Runtime (from 1.29 on) and OpenVINO report usage to their makers, the latter from a forked
process that can hang and hold its pipes open; both are switched off before they can be loaded.
"""

import os
import sys
from importlib import import_module

TYPE_CHECKING = False  # importing typing would take longer than this whole module
if TYPE_CHECKING:
    from omniaudio.api import binaural, export, find_sources, generate, inspect, open_model, rotate

__all__ = ["binaural", "export", "find_sources", "generate", "inspect", "open_model", "rotate"]

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# A module that is None cannot be imported; OpenVINO then works without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


if not TYPE_CHECKING:  # so that type checkers report unknown names

    def __getattr__(name: str) -> object:
        if name in __all__:
            return getattr(import_module("omniaudio.api"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
