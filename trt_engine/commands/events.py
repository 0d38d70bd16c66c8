"""What the long commands say of their course: a bar or lines of JSON, and how they end where they do not finish."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

from omniaudio.errors import ExitCode, UserError
from trt_engine.commands.bar import Step, progress_bar


@contextmanager
def told(as_json: bool, kept: str) -> Iterator[None]:
    """With `--json` an error and a cancellation are events too; the exit code is the same. `kept` says what is left."""
    try:
        yield
    except UserError as error:
        if not as_json:
            raise
        print_event("error", sentence=error.sentence, code=int(error.code))
        raise typer.Exit(error.code) from error
    except KeyboardInterrupt:
        if as_json:
            print_event("error", sentence="Cancelled.", code=int(ExitCode.CANCELLED))
        else:
            print(f"Cancelled: {kept}.", file=sys.stderr)
        raise typer.Exit(ExitCode.CANCELLED) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def reporting(as_json: bool) -> Iterator[Callable[[Step], None]]:
    """What every step is to be told to."""
    if as_json:
        yield _print_step
    else:
        with progress_bar() as show:
            yield show


def _print_step(step: Step) -> None:
    left = None if step.seconds_left is None else round(step.seconds_left, 1)
    print_event("progress", stage=step.stage, fraction=round(step.fraction, 4), seconds_left=left)


def print_event(event: str, **values: Any) -> None:
    """One line of JSON."""
    print(json.dumps({"event": event, **values}), flush=True)
