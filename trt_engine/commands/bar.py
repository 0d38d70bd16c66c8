"""The progress bar of the commands that wait for a generation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Step(Protocol):
    """How far a generation is: `fraction` of the whole, 0 to 1."""

    @property
    def stage(self) -> str: ...
    @property
    def fraction(self) -> float: ...
    @property
    def seconds_left(self) -> float | None: ...


@contextmanager
def progress_bar() -> Iterator[Callable[[Step], None]]:
    """Shows each step that it is told, on standard error where that is a terminal; vanishes at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, left="")

        def show(step: Step) -> None:
            left = "" if step.seconds_left is None else f"{step.seconds_left:.0f} s left"
            bar.update(task, completed=step.fraction, description=f"{step.stage:>8}", left=left)

        yield show
