"""Works: what one press of a button asks for, as steps that each return soon.

An operator takes the steps at the ticks of a timer, or all at once where there is no window; a test can take them too.
Knows no bpy: what touches Blender is in the steps, in `works/`.
"""

import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from .errors import CancelledError, UserError

MAX_ENDED = 8
"""So many works that have ended are kept in the list, the newest."""


@dataclass(frozen=True)
class Progress:
    """What there is to show: a stage, the fraction that is done, 0 to 1, and the seconds left where they are known."""

    stage: str
    fraction: float
    seconds_left: float | None = None

    def __str__(self) -> str:
        stage = self.stage[:1].upper() + self.stage[1:]
        return stage if self.seconds_left is None else f"{stage}, {self.seconds_left:.0f} s left"

    def looks_like(self, other: "Progress") -> bool:
        """Whether a bar shows the same: the words, and as much of it to a percent."""
        return str(self) == str(other) and round(100 * self.fraction) == round(100 * other.fraction)


@dataclass(frozen=True)
class Outcome:
    """What a work has made: a message, and where its files lie."""

    message: str
    folder: Path | None = None


Cancelled = Callable[[], bool]
Steps = Generator[Progress, None, Outcome]


@dataclass(frozen=True)
class Allowed:
    """What the user has allowed after a refusal: `force` takes the picture for a 360° one whatever it looks like,
    `allow_truncated` takes what can be read of a file that was cut off."""

    force: bool = False
    allow_truncated: bool = False


@dataclass
class Work:
    """One work. `state` is running, done, failed or cancelled; `begin` makes its steps, and is given what to ask
    whether the work was cancelled. `begin_allowed` makes them where more is allowed; None where that makes no
    difference."""

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
        """Whether nothing more will happen."""
        return self.state != "running"

    def step(self) -> bool:
        """One step, which returns soon; True when the work is over. Raises nothing: `state` tells how it ended."""
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
        except Exception as error:  # a fault of ours, or a disk's: the work ends, Blender and the other works go on
            traceback.print_exc()
            self.state = "failed"
            self.error = UserError(f"Something unexpected happened ({error!r}); please report what the console says.")
        return True

    def again(self, allowed: Allowed) -> "Work":
        """The same once more, as it was asked for then, with what was allowed before and now."""
        begin = self.begin_allowed
        if begin is None:
            return Work(self.title, self.begin)
        allowed = Allowed(self.allowed.force or allowed.force, self.allowed.allow_truncated or allowed.allow_truncated)
        return Work(self.title, partial(begin, allowed), begin, allowed)

    def cancel(self) -> None:
        """Ends the work at one of its next steps."""
        self._cancelled = True

    def close(self) -> None:
        """Ends the work now; nothing more is inserted."""
        self._cancelled = True
        self._steps.close()
        if not self.over:
            self.state, self.error = "cancelled", CancelledError()


class Works:
    """The works of this Blender, the oldest first."""

    def __init__(self) -> None:
        self._all: list[Work] = []

    def __iter__(self) -> Iterator[Work]:
        return iter(tuple(self._all))

    def running(self) -> list[Work]:
        """Those that are not over."""
        return [work for work in self._all if not work.over]

    def newest(self) -> Work | None:
        """The one that was started last and is not over."""
        return next(reversed(self.running()), None)

    def add(self, work: Work) -> None:
        """Adds one, and forgets those that ended long ago."""
        ended = [other for other in self._all if other.over]
        for other in ended[: max(0, len(ended) - MAX_ENDED + 1)]:
            self._all.remove(other)
        self._all.append(work)

    def dismiss(self, index: int | None = None) -> None:
        """Forgets the one at `index`, or all, if they are over."""
        wanted = self._all if index is None else self._all[index : index + 1]
        for work in [work for work in wanted if work.over]:
            self._all.remove(work)

    def close(self) -> None:
        """Ends all, now."""
        for work in self.running():
            work.close()
        self._all.clear()


works = Works()
