"""Arrays of the libraries that the sampler runs on: numpy, and torch on any device, without importing torch."""

import sys
from typing import Any

import numpy as np

Array = Any
"""numpy's ndarray or torch's tensor."""


def namespace(x: Array) -> Any:
    """The module whose functions work on an array like `x`."""
    return np if isinstance(x, np.ndarray) else sys.modules[type(x).__module__.partition(".")[0]]


def as_like(values: Array, like: Array) -> Array:
    """Values as an array of the same library, device and type as `like`."""
    return namespace(like).asarray(values, dtype=like.dtype, device=like.device)
