"""Progress of a job, and the time left, estimated from the speeds measured so far."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Report:
    """`fraction` of the job that is done, 0 to 1; `seconds_left` until it is finished."""

    stage: str
    fraction: float
    seconds_left: float


@dataclass
class Task:
    """A part of a job: `units`, each estimated at `guess` seconds until the first one has been measured."""

    stage: str
    units: int
    guess: float
    done: int = 0
    seconds: float = 0.0

    @property
    def seconds_per_unit(self) -> float:
        """Measured once a unit is done; else the estimate."""
        return self.seconds / self.done if self.done else self.guess

    @property
    def seconds_left(self) -> float:
        """Seconds left for this task."""
        return (self.units - self.done) * self.seconds_per_unit


@dataclass
class Progress:
    """Tasks that run one after another. `report` is called after each step; an exception cancels the job."""

    report: Callable[[Report], None]
    tasks: list[Task] = field(default_factory=list)
    _fraction: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def begin(self, stage: str) -> None:
        """Begin a stage and end those before it; the time since the last step does not count."""
        for task in self.tasks[: self.tasks.index(self._task(stage))]:
            task.units = task.done
        self._last = time.monotonic()
        self._report(self._task(stage))

    def advance(self, stage: str, units: int = 1) -> None:
        """Count further units of a stage as done."""
        task, now = self._task(stage), time.monotonic()
        task.seconds += now - self._last
        task.done += units
        self._last = now
        self._report(task)

    def reach(self, stage: str, share: float) -> None:
        """Set the share of a stage that is done, 0 to 1."""
        task = self._task(stage)
        self.advance(stage, round(share * task.units) - task.done)

    def _task(self, stage: str) -> Task:
        return next(task for task in self.tasks if task.stage == stage)

    def _report(self, task: Task) -> None:
        left, spent = _sum(t.seconds_left for t in self.tasks), _sum(t.seconds for t in self.tasks)
        # If a stage is slower than estimated, the fraction falls; a progress bar must not go back.
        self._fraction = max(self._fraction, spent / (spent + left) if spent + left > 0 else 1.0)
        self.report(Report(task.stage, self._fraction, left))


def _sum(values: Iterable[float]) -> float:
    return float(sum(values))
