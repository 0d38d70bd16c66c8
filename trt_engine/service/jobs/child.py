"""A worker process as the supervisor sees it: its pipes, its log, its end."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from logging import makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from trt_engine.service.worker.gpu import environment
from trt_engine.service.worker.messages import EVENTS, Cancel, Event, Run, line

LOG_BYTES = 1_000_000
"""The size of a device's log; one older log of this size is kept."""
LINE_BYTES = 1 << 20
END_SECONDS = 10.0
"""A worker ends at once when its input ends; one that has not ended by then is stuck, and killed."""


class _Pipes(asyncio.subprocess.SubprocessStreamProtocol):
    """The pipes of a process; when it ends, the processes that it started are killed.

    A library that forks leaves a process that holds the pipes open (ONNX Runtime's telemetry did), and their end, by
    which the supervisor notices the worker's end, would never come.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._group = transport.get_pid()

    def process_exited(self) -> None:
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)
        super().process_exited()


class Child:
    """A worker process on one device."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = RotatingFileHandler(log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
        self._log.terminator = ""
        self._logging = asyncio.create_task(self._keep_log())
        self.models: tuple[str, ...] = ()
        """The models in its memory."""

    @classmethod
    async def start(cls, device: str, folder: Path) -> Self:
        """Start a worker, with its log and the device's lock in a folder. Raises OSError if the system cannot."""
        name = device.replace(":", "-")
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _Pipes(LINE_BYTES, loop),
            sys.executable,
            "-P",  # no imports from the current folder, which may hold clips
            "-m",
            "trt_engine.service.worker",
            device,
            str(folder / f"{name}.lock"),
            env=environment(device),
            start_new_session=True,
        )
        process = asyncio.subprocess.Process(transport, protocol, loop)
        return cls(process, folder / f"{name}.log")

    @property
    def alive(self) -> bool:
        """Whether it is not known to have ended."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: Run | Cancel) -> None:
        """Send it a message; ignored if it has ended, which the end of its events shows."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(line(message))

    async def event(self) -> Event | None:
        """The next event; None at the end, or if it is invalid."""
        assert self._process.stdout is not None
        try:
            text = await self._process.stdout.readline()
            return EVENTS.validate_json(text) if text else None
        except (ValidationError, ValueError):
            return None

    def kill(self) -> None:
        """Kill it."""
        if self.alive:
            self._process.kill()

    async def end(self) -> str:
        """End it, by force if necessary; returns how it ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        code = await self._process.wait()
        await self._logging
        return _how(code)

    async def _keep_log(self) -> None:
        """Copy its standard error to a log file of bounded size."""
        assert self._process.stderr is not None
        while text := await self._process.stderr.read(1 << 16):
            self._log.handle(makeLogRecord({"msg": text.decode(errors="replace")}))
        self._log.close()


def _how(code: int) -> str:
    """How a process ended, from its exit code, as the end of a message."""
    if code >= 0:
        return f"ended with the exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "was killed (SIGKILL), which is also what the system does when there is too little memory"
    return f"crashed ({name})"
