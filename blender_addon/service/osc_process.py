"""The OSC bridge as a child of Blender: `omniaudio osc --child`, which ends when Blender does. Knows no bpy.

The bridge is held by its standard input: when that is closed, by `stop` or by Blender's end, whatever kind of end that
is, the bridge ends orderly. What was asked of it is in its ledger, so the next one goes on where it stopped.
"""

import json
import os
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PORT = 9000
SECONDS_TO_STOP = 10.0
"""After which a bridge that does not end by itself is killed."""
_MAX_WORD = 300


@dataclass(frozen=True)
class OscChoice:
    """How to run the bridge: where it listens on this machine, which folders DAWs may name clips in (none: the engine
    alone decides), and which engine it speaks to: the one that runs on a folder, or the one at an address."""

    port: int = PORT
    roots: tuple[Path, ...] = ()
    service_folder: Path | None = None
    engine: str = ""
    token: str = ""


@dataclass(frozen=True)
class OscState:
    """`kind` is "off", "starting", "listening" or "failed", with a `message` that says what to do; `last` is what the
    bridge told a DAW last, as a person reads it."""

    kind: str = "off"
    port: int = 0
    message: str = ""
    last: str = ""


class OscProcess:
    """The one bridge of this Blender. No method waits for it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for the ledger and the log; made when it is needed."""
        self._folder = folder
        self._lock = threading.Lock()
        self._alone = threading.Lock()  # held while a bridge runs: the next one needs its port and its ledger
        self._starts = 0
        self._port = PORT
        self._process: subprocess.Popen[bytes] | None = None
        self._state = OscState()

    @property
    def state(self) -> OscState:
        """As it is now."""
        return self._state

    @property
    def log(self) -> Path:
        """What the bridge has to say of its troubles, since it was started last."""
        return self._folder / f"osc-{self._port}.log"

    def start(self, command: Sequence[str], choice: OscChoice) -> None:
        """Start the bridge, in place of the one that runs.

        Args:
            command: the words that start the command `omniaudio`.
            choice: how it is to run.
        """
        self.stop()
        with self._lock:
            self._starts += 1
            self._port = choice.port
            self._state = OscState("starting", choice.port)
            start = self._starts
        threading.Thread(target=self._run, args=(start, command, choice), name="omniaudio osc", daemon=True).start()

    def stop(self) -> None:
        """Have the bridge end; what DAWs have asked for goes on at the engine."""
        with self._lock:
            self._starts += 1
            process, self._process = self._process, None
            self._state = OscState()
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            killer = threading.Timer(SECONDS_TO_STOP, process.kill)
            killer.daemon = True
            killer.start()

    def _run(self, start: int, command: Sequence[str], choice: OscChoice) -> None:
        """One bridge from its start to its end, however it comes."""
        with self._alone:
            with self._lock:
                if self._starts != start:
                    return
                try:
                    process = self._open(command, choice)
                except OSError as error:
                    message = f"The OSC bridge cannot be started ({error}): check the engine in the preferences."
                    self._state = OscState("failed", choice.port, message)
                    return
                self._process = process
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    self._take_in(start, line)
            code = process.wait()
        with self._lock:
            if self._starts == start:  # nobody asked it to end
                self._process = None
                message = self._state.message or _epitaph(code, self.log)
                self._state = replace(self._state, kind="failed", message=message)

    def _open(self, command: Sequence[str], choice: OscChoice) -> "subprocess.Popen[bytes]":
        # A ledger and a log for each port, so that a second Blender can have a bridge of its own.
        words = ["osc", "--child", "--port", str(choice.port), "--ledger"]
        words.append(str(self._folder / f"osc-{choice.port}.sqlite3"))
        for root in choice.roots:
            words += ["--allow-root", str(root)]
        if choice.service_folder is not None:
            words += ["--service-folder", str(choice.service_folder)]
        if choice.engine:
            words += ["--service", choice.engine]
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [*command, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Not among the words, which every program of the machine can read.
                env={**os.environ, "PYTHONUTF8": "1", "OMNIAUDIO_TOKEN": choice.token},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows' alone
                start_new_session=True,  # Ctrl-C in Blender's terminal is Blender's alone
            )

    def _take_in(self, start: int, line: bytes) -> None:
        try:
            told = json.loads(line)
            event = told["event"]
        except (ValueError, KeyError, TypeError):
            return
        with self._lock:
            if self._starts != start:
                return
            if event == "listening":
                self._state = replace(self._state, kind="listening")
            elif event == "said":
                self._state = replace(self._state, last=as_text(str(told["address"]), told["arguments"]))
            elif event == "error":
                self._state = replace(self._state, message=str(told["message"]))


def as_text(address: str, arguments: Sequence[Any]) -> str:
    """A message of the bridge as a person reads it: the ones about requests in words, others as they are."""
    match address.rpartition("/")[2], list(arguments):
        case "accepted", [request, _]:
            text = f"{request} was accepted"
        case "progress", [request, float(fraction), stage, _]:
            text = f"{request}: {stage}, {fraction:.0%}"
        case "done", [request, take, path, *_]:
            text = f"{request}, take {take}: {Path(path).name}"
        case "fail", ["", _, message]:
            text = str(message)
        case "fail", [request, _, message]:
            text = f"{request} failed: {message}"
        case verb, rest:
            text = " ".join(map(str, [verb, *rest]))
    return text[:_MAX_WORD]


def _epitaph(code: int, log: Path) -> str:
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = next(reversed(deque((line.strip() for line in lines if line.strip()), 1)), "")
    except OSError:
        last = ""
    said = f": {last[:_MAX_WORD]}" if last else ""
    return f"The OSC bridge ended by itself (exit code {code}){said}. Start it again; its log is {log}."
