"""The progress bar of long-running commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Step(Protocol):
    """Progress of a job: `fraction` is 0 to 1; `seconds_left` is None while unknown."""

    @property
    def stage(self) -> str: ...
    @property
    def fraction(self) -> float: ...
    @property
    def seconds_left(self) -> float | None: ...


@contextmanager
def progress_bar() -> Iterator[Callable[[Step], None]]:
    """Yield a callback that shows progress on standard error if that is a terminal. The bar vanishes at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, left="")

        def show(step: Step) -> None:
            left = "" if step.seconds_left is None else f"{step.seconds_left:.0f} s left"
            bar.update(task, completed=step.fraction, description=f"{step.stage:>8}", left=left)

        yield show
