"""What runs a model's graphs: one interface, one module for each back-end."""

import os

# Since 1.29 ONNX Runtime reports each model that it opens to its makers unless it is told not to, before it is loaded.
# The process that it starts for that was seen to hang and to hold files open, too.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
