"""The engine as a child process: start it, read what it says without waiting for it, end it.

Standard library only, no bpy: this runs in Blender's Python, which has none of the engine's packages. The engine prints
one JSON object a line on its standard output (`omniaudio generate --json`).
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UserError

WHERE = "OMNIAUDIO_PYTHON"
SECONDS_TO_STOP = 5.0


@dataclass(frozen=True)
class Request:
    """What the engine is asked for. `start` and `duration` are seconds of the input, `output` the AmbiX file."""

    input: Path
    output: Path
    start: float
    duration: float
    seed: int
    model: str = ""
    backend: str = ""
    known_panorama: bool = False  # do not let the engine judge whether it is one

    def arguments(self) -> list[str]:
        """The command line's arguments; an empty model or back-end leaves the choice to the engine."""
        words = ["generate", str(self.input), "--output", str(self.output), "--json"]
        words += ["--start", f"{self.start:.9f}", "--duration", f"{self.duration:.9f}", "--seed", str(self.seed)]
        if self.model:
            words += ["--model", self.model]
        if self.backend:
            words += ["--backend", self.backend]
        return [*words, "--force"] if self.known_panorama else words


@dataclass(frozen=True)
class Progress:
    """How far the engine is: a stage's name, a fraction of the whole from 0 to 1, the seconds left if it knows."""

    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class Take:
    """The files of one take; `preview` and `sound_map` may not have been made."""

    ambix: Path
    preview: Path | None
    sound_map: Path | None
    sidecar: Path


@dataclass(frozen=True)
class Done:
    """The engine finished, with this model and back-end."""

    takes: tuple[Take, ...]
    model: str
    backend: str


@dataclass(frozen=True)
class Failed:
    """The engine failed, and says why in a sentence."""

    sentence: str


Event = Progress | Done | Failed


def find_engine(configured: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The words that start the engine: `configured` (the command, or the Python it is installed in), else the Python
    that OMNIAUDIO_PYTHON names, else `omniaudio` on the search path. Raises UserError if there is none."""
    named = configured.strip() or environment.get(WHERE, "")
    program = shutil.which(os.path.expanduser(named) or "omniaudio", path=environment.get("PATH"))
    if program is None:
        asked = f"'{named}' is no program" if named else "no command 'omniaudio' is on the search path"
        raise UserError(
            f"The OmniAudio engine was not found ({asked}): install it, and name the Python that has it "
            f"in the add-on's preferences or in {WHERE}."
        )
    is_python = Path(program).name.lower().startswith("python")
    return [program, "-m", "omniaudio.cli"] if is_python else [program]


def parse_event(line: str) -> Event | None:
    """The event in a line; None if the line is none, or one that this version of the extension does not know."""
    try:
        message = json.loads(line)
        match message["event"]:
            case "progress":
                left = message.get("seconds_left")
                fraction = min(max(float(message["fraction"]), 0.0), 1.0)
                return Progress(str(message["stage"]), fraction, None if left is None else float(left))
            case "done":
                takes = tuple(_take(take) for take in message["takes"])
                return Done(takes, str(message["model"]), str(message["backend"]))
            case "error":
                return Failed(str(message["sentence"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _take(message: Mapping[str, str | None]) -> Take:
    preview, sound_map = message.get("preview"), message.get("map")
    return Take(
        ambix=Path(str(message["sound"])),
        preview=Path(preview) if preview else None,
        sound_map=Path(sound_map) if sound_map else None,
        sidecar=Path(str(message["sidecar"])),
    )


class Engine:
    """One running child process. Use as a context manager: leaving it ends the process, however it is left."""

    def __init__(self, command: Sequence[str], arguments: Sequence[str]) -> None:
        """Starts the process. Raises UserError if the system cannot start it."""
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last_words = ""
        self._ended = False
        self._answered = False
        # A file, not a pipe: a pipe that nobody reads would block the engine.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        try:
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONUTF8": "1"},
                creationflags=_creation_flags(),
                start_new_session=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._errors.close()
            raise UserError(f"The OmniAudio engine could not be started ({error}); check the preferences.") from error
        self._reader = threading.Thread(target=self._read, name="omniaudio engine", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ended(self) -> bool:
        """Whether everything the engine said has been read; the last event was then Done or Failed."""
        return self._ended

    def events(self) -> list[Event]:
        """What came since the last call; returns at once."""
        events: list[Event] = []
        while not self._ended:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self._ended = True
                if not self._answered:
                    events.append(Failed(self._epitaph()))
            elif (event := parse_event(line)) is not None:
                self._answered = self._answered or not isinstance(event, Progress)
                events.append(event)
            elif line.strip():
                self._last_words = line.strip()
        return events

    def _epitaph(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        complaints = self._errors.read().decode("utf-8", "replace").splitlines()
        # The option parser frames what it says with a box.
        bare = [line.strip(" │╭─╮╰╯") for line in complaints]
        last = next((line for line in reversed(bare) if line), self._last_words)
        said = f"its last words were: {last[:200]}" if last else "it said nothing"
        return f"The OmniAudio engine ended without a result (exit code {code}); {said}"

    def stop(self) -> None:
        """Ends the process if it still runs: asks it to clean up, and after five seconds kills it."""
        if self._process.poll() is None:
            self._process.send_signal(_interrupt())
            try:
                self._process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(SECONDS_TO_STOP)
        self._errors.close()


def _creation_flags() -> int:
    """A group of the child's own, as a session is elsewhere: Ctrl-C in Blender's terminal reaches Blender alone, which
    then stops the engine."""
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def _interrupt() -> signal.Signals:
    if sys.platform == "win32":
        return signal.CTRL_BREAK_EVENT
    return signal.SIGINT
