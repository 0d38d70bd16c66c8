"""Nothing is reported to the makers of the back-ends."""

import os
import subprocess
import sys

import pytest

LOAD = """
import importlib, os, sys
import trt_engine
forks = []
fork = os.fork
os.fork = lambda: forks.append(1) or fork()
importlib.import_module({name!r})
import threading
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(2)
assert not forks, "the process was forked"
assert "openvino_telemetry.main" not in sys.modules
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_back_end_reports_nothing(name, tmp_path):
    pytest.importorskip(name)
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY")}
    # Where ONNX Runtime would keep what it has to report, and its number of this machine.
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", LOAD.format(name=name)],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert list(tmp_path.rglob("*")) == []
