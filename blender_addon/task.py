"""One job at the engine, from the files here to the files here, in a thread of its own. Knows no bpy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .client import AnyRequest, Progress
from .engine import Engine
from .errors import UserError


@dataclass(frozen=True)
class MadeTake:
    """The files of a take, and its measures. `ambix` has four channels (ACN, SN3D), of `samples` samples at `rate` Hz.
    `seed` is None where no model ran."""

    ambix: Path
    preview: Path | None
    sound_map: Path | None
    sidecar: Path | None
    seed: int | None
    take: int
    rate: int
    samples: int
    gain_db: float


@dataclass(frozen=True)
class Made:
    """What a job has made: takes, or files of another kind; `model` and `backend` are None where no model ran."""

    takes: tuple[MadeTake, ...]
    files: tuple[Path, ...]
    model: str | None
    backend: str | None


@dataclass(frozen=True)
class TaskState:
    """`kind` is "starting", "uploading", "queued", "running", "fetching", "done", "failed" or "cancelled". `progress`
    is of what it does now; of a failure there is the `error`, of one that is done the `result`."""

    kind: str = "starting"
    progress: Progress = Progress("waiting for the engine", 0.0)
    error: UserError | None = None
    result: Made | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.kind in ("done", "failed", "cancelled")


class Task:
    """A job that starts at once."""

    def __init__(self, engine: Engine, request: AnyRequest, files: Mapping[str, Path], folder: Path, stem: str) -> None:
        """
        Args:
            engine: does it; it is woken.
            request: what is wanted; its sources are filled in from `files`.
            files: the files of this machine, by the request's fields that are to name them: `source`, `again.sound`,
                `sound`, `picture`, `orientations`. They are uploaded where the engine does not read them itself.
            folder: where what is made goes; it is there.
            stem: what is made is called `stem`_001, or by the first later number that is free.
        """

    @property
    def state(self) -> TaskState:
        """As it is now."""

    def cancel(self) -> None:
        """End it, with the job at the engine; nothing is left in the folder. Returns at once."""
