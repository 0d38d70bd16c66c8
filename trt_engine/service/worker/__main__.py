"""`python -m trt_engine.service.worker DEVICE LOCK`."""

import sys
from pathlib import Path

from trt_engine.service.worker.process import main

main(sys.argv[1], Path(sys.argv[2]))
