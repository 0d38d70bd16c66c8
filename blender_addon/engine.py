"""The one engine of this Blender: started or found in the background, watched, and started again. Knows no bpy.

The service's folder and its lock say who runs, so that however many Blenders start one at once, one engine is there,
and a Blender that comes back after a crash finds the one that it had. As long as a Blender uses an engine it reads the
engine's stream of requests to render a scene, by which the engine knows that it is there.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from . import engine_process
from .client import FOREIGN, TIMEOUT, UNREACHABLE, Client, EngineError, Health, Job, Model, ModelList, find
from .engine_process import ENGINE_FAILED, IN_USE, NO_PROGRAM, EngineProcess, find_program
from .errors import UserError

PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Between a failure and the next attempt, by how many failures there have been in a row."""
STEADY_SECONDS = 30.0
"""An engine that has lived for so long has not failed in a row."""
START_SECONDS = 120.0
"""So long an engine may take until it answers: on a cold disk Python reads its libraries for a minute."""
STOP_SECONDS = 10.0

_ASK_SECONDS = 0.1
_ANSWER_SECONDS = 10.0
"""For so long the engine may take over an answer."""
_AWAY_SECONDS = 2.0
"""An engine whose stream is interrupted for longer has gone."""
_MENDED_BY_THE_USER = ("unauthorized", "forbidden", FOREIGN, NO_PROGRAM)
"""Codes of what another attempt does not change; a foreign service in the own folder may make room, though."""


@dataclass(frozen=True)
class EngineChoice:
    """Which engine: the one at `address`, with its `token`; or, where that is empty, one that is started here by
    `program` (see `engine_process.find_program`)."""

    address: str = ""
    token: str = ""
    program: str = ""


@dataclass(frozen=True)
class EngineState:
    """`kind` is "off", "starting", "ready", "waiting" (before another attempt) or "failed"; of the last two `sentence`
    says why and what to do, and `code` is for programs. The rest is of an engine that is ready: `default` is the model
    that it takes where none is named, `started_here` whether this Blender has started it."""

    kind: str = "off"
    sentence: str = ""
    code: str = ""
    version: str = ""
    models: tuple[Model, ...] = ()
    default: str | None = None
    started_here: bool = False


class Engine:
    """The engine that this Blender uses. Threads may share it; no method but `client` and `stop` waits."""

    def __init__(self, folder: Path, on_scene_job: Callable[[Client, Job], None] | None = None) -> None:
        """Nothing is started yet.

        Args:
            folder: of an engine that is started here: its jobs, its token and its logs.
            on_scene_job: told, in a thread of the engine's, of each job for which this Blender is to render its scene;
                where it is None they are refused.
        """
        self._folder = folder
        self._on_scene_job = on_scene_job or _refuse
        self._choice = EngineChoice()
        self._name = "untitled"
        self._changed = threading.Condition()
        self._watch: _Watch | None = None
        self._state = EngineState()
        self._child: EngineProcess | None = None

    @property
    def state(self) -> EngineState:
        """As it is now."""
        child = self._child
        return replace(self._state, started_here=child is not None and child.exit_code is None)

    @property
    def log(self) -> Path:
        """What an engine that was started here says of its troubles; it may not be there yet."""
        return engine_process.log_of(self._folder)

    def configure(self, choice: EngineChoice) -> None:
        """Use this engine from now on. Another one is let go of; the new one is looked for once it is needed."""

    def announce(self, name: str) -> None:
        """What is open in this Blender, like `forest.blend`, for who asks the engine for a sound of the scene."""

    def wake(self) -> None:
        """Start or find it in the background, where that is not done. After a failure this is a new attempt."""

    def client(self) -> Client:
        """The engine's client, when it answers; not to be called where waiting is not allowed.

        Raises:
            UserError: it cannot be reached, after one attempt from now on; with the code of `state`.
        """

    def stop(self) -> None:
        """Let go of it, and end it if this Blender has started it and no other one uses it: within `STOP_SECONDS`."""
