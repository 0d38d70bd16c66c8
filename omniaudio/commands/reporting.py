"""How long-running commands report: a progress bar or lines of JSON, and one message if they fail or are cancelled."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

from omniaudio.commands.progress_bar import Step, progress_bar
from omniaudio.errors import ExitCode, UserError


@contextmanager
def reporting_errors(as_json: bool, remains: str) -> Iterator[None]:
    """Report an error or a cancellation; with `as_json`, as an event. The exit code is the same.

    `remains` tells the user what a cancelled command leaves behind, such as "no file was written"."""
    try:
        yield
    except UserError as error:
        if not as_json:
            raise
        print_event("error", message=error.message, code=int(error.code))
        raise typer.Exit(error.code) from error
    except KeyboardInterrupt:
        if as_json:
            print_event("error", message="Cancelled.", code=int(ExitCode.CANCELLED))
        else:
            print(f"Cancelled: {remains}.", file=sys.stderr)
        raise typer.Exit(ExitCode.CANCELLED) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM cancel the command as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def reporting_progress(as_json: bool) -> Iterator[Callable[[Step], None]]:
    """Yield a callback for progress, which shows a bar or prints events."""
    if as_json:
        yield _print_step
    else:
        with progress_bar() as show:
            yield show


@contextmanager
def running(as_json: bool) -> Iterator[Callable[[Step], None]]:
    """Run the body of a command that writes one file or none; yields a callback for progress."""
    with reporting_errors(as_json, "no file was written"), interruptible(), reporting_progress(as_json) as report:
        yield report


def _print_step(step: Step) -> None:
    left = None if step.seconds_left is None else round(step.seconds_left, 1)
    print_event("progress", stage=step.stage, fraction=round(step.fraction, 4), seconds_left=left)


def print_event(event: str, **values: Any) -> None:
    """Print an event as one line of JSON."""
    print(json.dumps({"event": event, **values}), flush=True)
