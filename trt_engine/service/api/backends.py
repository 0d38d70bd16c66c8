"""The back-ends of the service's computer, as `omniaudio backends` finds them."""

import asyncio
import logging
import sys
import time

from pydantic import ValidationError

from trt_engine.service.api.records import BackendList
from trt_engine.service.errors import ErrorCode, ServiceError
from trt_engine.service.worker.gpu import environment

SECONDS = 120.0
"""They are tried in a process of their own, which imports every library that runs models."""
FRESH_SECONDS = 60.0
"""For so long an answer is given again."""

_log = logging.getLogger(__name__)


class Backends:
    """What is known of them; asked for in a process of its own, since the service itself loads no library of theirs and
    no CUDA."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._known: BackendList | None = None
        self._until = 0.0

    async def ask(self, device: str) -> BackendList:
        """The back-ends, as a worker on a device finds them.

        Raises:
            ServiceError: they cannot be listed.
        """
        async with self._asking:
            if self._known is None or time.monotonic() > self._until:
                self._known = await _listed(device)
                self._until = time.monotonic() + FRESH_SECONDS
            return self._known


async def _listed(device: str) -> BackendList:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "omniaudio.cli", "backends", "--json"),
        env=environment(device),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            answer, complaint = await process.communicate()
        return BackendList.model_validate_json(b'{"backends": ' + answer + b"}")
    except (TimeoutError, ValidationError) as error:
        said = "nothing" if isinstance(error, TimeoutError) else complaint.decode(errors="replace").strip()
        _log.error("`omniaudio backends` answered: %s", said)
        raise ServiceError(ErrorCode.INTERNAL, "The back-ends cannot be listed: the service's log says why.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
