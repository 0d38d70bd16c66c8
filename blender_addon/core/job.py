"""Blender's jobs: what one press of a button starts, as a generator of short steps.

An operator takes a step at each tick of a timer, or all at once without a window. Does not import bpy: the steps in
`workflows/` do.
"""

import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from .errors import CancelledError, UserError

MAX_ENDED = 8
"""How many ended jobs the list keeps."""


@dataclass(frozen=True)
class Progress:
    """The current stage, the fraction done (0 to 1), and the seconds left if known."""

    stage: str
    fraction: float
    seconds_left: float | None = None

    def __str__(self) -> str:
        stage = self.stage[:1].upper() + self.stage[1:]
        return stage if self.seconds_left is None else f"{stage}, {self.seconds_left:.0f} s left"

    def looks_like(self, other: "Progress") -> bool:
        """Whether a progress bar shows the same text and the same percentage."""
        return str(self) == str(other) and round(100 * self.fraction) == round(100 * other.fraction)


@dataclass(frozen=True)
class Outcome:
    """What a job has made: a message, and the folder of its files."""

    message: str
    folder: Path | None = None


Cancelled = Callable[[], bool]
Steps = Generator[Progress, None, Outcome]


@dataclass(frozen=True)
class Allowed:
    """What the user has allowed after a refusal: `force` skips the check for a 360° panorama, `allow_truncated` uses
    what can be read of a truncated file."""

    force: bool = False
    allow_truncated: bool = False


@dataclass
class BlenderJob:
    """One job. `state` is running, done, failed or cancelled.

    `begin` makes the steps; its argument tells whether the job was cancelled. `begin_allowed` makes them for a retry
    with other permissions; None if they make no difference."""

    title: str
    begin: Callable[[Cancelled], Steps]
    begin_allowed: Callable[[Allowed, Cancelled], Steps] | None = None
    allowed: Allowed = Allowed()
    state: str = "running"
    progress: Progress = Progress("starting", 0.0)
    error: UserError | None = None
    outcome: Outcome | None = None
    started: datetime = field(default_factory=datetime.now)
    _cancelled: bool = False

    def __post_init__(self) -> None:
        self._steps = self.begin(lambda: self._cancelled)

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.state != "running"

    def step(self) -> bool:
        """Runs one short step; True when the job is over. Raises nothing: errors end up in `state` and `error`."""
        if self.over:
            return True
        try:
            self.progress = next(self._steps)
            return False
        except StopIteration as end:
            self.state, self.outcome = "done", end.value
        except CancelledError as error:
            self.state, self.error = "cancelled", error
        except UserError as error:
            self.state, self.error = "failed", error
        except Exception as error:  # a bug, or a disk's error: only this job ends
            traceback.print_exc()
            self.state = "failed"
            self.error = UserError(f"Unexpected error ({error!r}); please report it with the console's output.")
        return True

    def repeated(self, allowed: Allowed) -> "BlenderJob":
        """A new job with the same settings, and with everything allowed before or now."""
        begin = self.begin_allowed
        if begin is None:
            return BlenderJob(self.title, self.begin)
        allowed = Allowed(self.allowed.force or allowed.force, self.allowed.allow_truncated or allowed.allow_truncated)
        return BlenderJob(self.title, partial(begin, allowed), begin, allowed)

    def cancel(self) -> None:
        """Ends the job at one of its next steps."""
        self._cancelled = True

    def close(self) -> None:
        """Ends the job now; nothing more is inserted."""
        self._cancelled = True
        self._steps.close()
        if not self.over:
            self.state, self.error = "cancelled", CancelledError()


class Jobs:
    """This Blender's jobs, the oldest first."""

    def __init__(self) -> None:
        self._all: list[BlenderJob] = []

    def __iter__(self) -> Iterator[BlenderJob]:
        return iter(tuple(self._all))

    def running(self) -> list[BlenderJob]:
        """The jobs that have not ended."""
        return [job for job in self._all if not job.over]

    def newest(self) -> BlenderJob | None:
        """The running job that was started last."""
        return next(reversed(self.running()), None)

    def add(self, job: BlenderJob) -> None:
        """Adds a job, and removes the oldest ended ones."""
        ended = [other for other in self._all if other.over]
        for other in ended[: max(0, len(ended) - MAX_ENDED + 1)]:
            self._all.remove(other)
        self._all.append(job)

    def dismiss(self, index: int | None = None) -> None:
        """Removes the job at `index`, or all jobs, if they have ended."""
        wanted = self._all if index is None else self._all[index : index + 1]
        for job in [job for job in wanted if job.over]:
            self._all.remove(job)

    def close(self) -> None:
        """Ends and removes all jobs now."""
        for job in self.running():
            job.close()
        self._all.clear()


jobs = Jobs()
