"""Whether the GPU of a device answers: asked when the service starts, and again by the worker before each job."""

import os
import subprocess
import sys

from omniaudio.errors import UserError
from trt_engine.compile.targets import native_architecture

SECONDS = 60.0
"""A driver that says nothing for so long does not answer."""


def answers(device: str) -> bool:
    """Whether a device is there; of the GPUs this process sees its own alone. CUDA stays loaded in the process."""
    if not device.startswith("cuda"):
        return True
    try:
        native_architecture()
    except UserError:
        return False
    return True


def check(device: str) -> None:
    """Ask a device in a process of its own, since CUDA is not to be loaded in this one.

    Raises:
        UserError: it does not answer.
    """
    if not device.startswith("cuda"):
        return
    code = f"import sys; from {__name__} import answers; sys.exit(not answers(sys.argv[1]))"
    try:
        asked = subprocess.run(
            [sys.executable, "-P", "-c", code, device],
            env=environment(device),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(silence(device)) from error
    if asked.returncode != 0:
        raise UserError(silence(device))


def environment(device: str) -> dict[str, str]:
    """Of a process that sees its own device and no other."""
    kind, _, index = device.partition(":")
    seen = ""
    if kind == "cuda":
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = None if given is None else given.split(",")
        seen = index if names is None else names[int(index)].strip() if int(index) < len(names) else ""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": seen}


def silence(device: str) -> str:
    """What there is to say of a device that does not answer."""
    return (
        f"The device {device} does not answer: start the service with one that nvidia-smi lists, with NVIDIA's driver "
        f"and cuda-bindings installed, or with --device cpu."
    )
