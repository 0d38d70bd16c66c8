"""The process that computes: `python -m trt_engine.service.worker DEVICE LOCK`, one for each device.

It is told what to do by lines of JSON on its standard input and answers by lines on its standard output
(`messages.py`); what it has to say to people, traces of failures among it, goes to its standard error.

- The protocol has a private duplicate of file descriptor 1, which itself leads to standard error, so that what a
  library prints cannot break it.
- A thread reads the commands. A cancellation is noted there and taken up at the next progress report, of which there
  is one a sampler step. When standard input ends, the supervisor is gone or wants no more: the process ends on the
  spot, whatever it does. Nothing is lost by that, because what it writes lies in an attempt's folder, which counts
  only once it is whole.
- The lock file is held as long as the process lives, so that two services, one of which was killed a moment ago, never
  compute on one device at a time.
"""

import errno
import faulthandler
import logging
import os
import queue
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from filelock import FileLock

from omniaudio.errors import ExitCode, UserError
from omniaudio.progress import Report
from omniaudio.video.stills import is_sequence
from trt_engine.service.errors import Error, ErrorCode, as_error
from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.records import Progress
from trt_engine.service.worker import gpu
from trt_engine.service.worker.messages import COMMANDS, Cancel, Done, Failed, Loaded, Progressed, Run, line
from trt_engine.service.worker.models import LoadedModels
from trt_engine.service.worker.sealing import seal

OPENING = "opening"
"""The stage before the generator's own: the model is made ready."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OUT_OF_MEMORY = ("out of memory", "bad_alloc", "bad allocation", "allocate memory")
"""What back-ends say, each with an exception of its own."""
_log = logging.getLogger(__name__)


class JobCancelledError(Exception):
    """The current job was cancelled."""


class Worker:
    """One job after the other, with the models of the last ones kept ready."""

    def __init__(self, device: str, commands: IO[bytes], events: IO[bytes]) -> None:
        self._device = device
        self._commands = commands
        self._events = events
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._models = LoadedModels(lambda names: self._send(Loaded(job=self._job, models=names)))
        self._job = ""
        self._stage = OPENING

    def serve(self) -> None:
        """Carry out jobs, until a failure after which this process may be unreliable."""
        while True:
            run = self._runs.get()
            ended = self._attempt(run)
            self._cancelled.discard(run.job)
            self._send(ended)
            if isinstance(ended, Failed) and ended.broken:
                return

    def receive(self) -> None:
        """Read commands until standard input ends, then exit."""
        try:
            for command in map(COMMANDS.validate_json, self._commands):
                if isinstance(command, Cancel):
                    self._cancelled.add(command.job)
                else:
                    self._runs.put(command)
        except BaseException:
            _log.exception("The commands cannot be read")
            os._exit(1)
        os._exit(0)

    def _send(self, event: Loaded | Progressed | Done | Failed) -> None:
        self._events.write(line(event))
        self._events.flush()

    def _attempt(self, run: Run) -> Done | Failed:
        """Carry out a job; whatever goes wrong becomes a message."""
        self._job, self._stage = run.job, OPENING
        if not gpu.answers(self._device):
            silent = Error(code=ErrorCode.NO_BACKEND, message=gpu.silence(self._device))
            # In this process CUDA would not look again.
            return Failed(job=run.job, error=silent, broken=True)
        try:
            self._carry_out(run)
        except JobCancelledError:
            return Failed(job=run.job, error=Error(code=ErrorCode.CANCELLED, message="The job was cancelled."))
        except UserError as error:
            _log.info("Job %s: %s", run.job, error.message)
            return Failed(job=run.job, error=_explained(error, run))
        except Exception as error:  # whatever a back-end fails with, the service lives on
            _log.exception("Job %s", run.job)
            return self._unforeseen(run, error)
        return Done(job=run.job)

    def _unforeseen(self, run: Run, error: Exception) -> Failed:
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY):
            message = "There was not enough memory: request a shorter part or fewer takes."
            return Failed(job=run.job, error=Error(code=ErrorCode.NO_ROOM, message=message), broken=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            return Failed(job=run.job, error=_no_room(run, error))
        gone = next((file for file in run.files.values() if not is_sequence(file) and not file.exists()), None)
        if isinstance(error, OSError) and gone is not None:
            message = f"{gone} vanished while it was read: put it back, and try again."
            return Failed(job=run.job, error=Error(code=ErrorCode.SOURCE, message=message))
        message = (
            f"The job failed while {self._stage} ({_first_line(error)}): try again, or use another back-end; the "
            f"service's log says more."
        )
        # What a back-end is worth after it failed, a lost GPU above all, nobody knows.
        return Failed(job=run.job, error=Error(code=ErrorCode.INTERNAL, message=message), broken=True)

    def _carry_out(self, run: Run) -> None:
        def report(done: Report) -> None:
            self._stage = done.stage
            self._check(run)
            progress = Progress(
                stage=done.stage, fraction=min(max(done.fraction, 0.0), 1.0), seconds_left=done.seconds_left
            )
            self._send(Progressed(job=run.job, progress=progress))

        self._check(run)
        self._send(Progressed(job=run.job, progress=Progress(stage=OPENING, fraction=0.0, seconds_left=None)))
        attempt = Attempt(
            files=run.files,
            folder=run.attempt,
            results=run.results,
            max_seconds=run.max_seconds,
            models=self._models,
            report=report,
        )
        seal(run.attempt, run.request.run(attempt))

    def _check(self, run: Run) -> None:
        if run.job in self._cancelled:
            raise JobCancelledError


def _explained(error: UserError, run: Run) -> Error:
    """A message for the service's clients, who did not choose where it writes."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    return as_error(error) if cause is None or error.code is not ExitCode.NOT_WRITABLE else _no_room(run, cause)


def _no_room(run: Run, error: OSError) -> Error:
    places = f"{run.attempt.parent} and in {tempfile.gettempdir()}"
    message = f"The service cannot write its files ({error.strerror}): make room in {places}."
    return Error(code=ErrorCode.NO_ROOM, message=message)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def main(device: str, lock: Path) -> None:
    """Work on a device until there is no more to do."""
    # Both reach every process of a terminal or a unit; when to end is the supervisor's to say, by standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    worker = Worker(device, sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    threading.Thread(target=worker.receive, daemon=True).start()
    with FileLock(lock):
        _log.info("A worker for %s, process %d", device, os.getpid())
        worker.serve()
        # Without the interpreter's own end, which would wait for back-ends that may be stuck.
        os._exit(1)
