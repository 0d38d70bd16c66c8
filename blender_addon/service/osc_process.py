"""The OSC bridge as a child process, `omniaudio osc --child`. Does not import bpy.

The bridge shuts down cleanly when its standard input closes: by `stop`, or when Blender quits or crashes. Its ledger
keeps all requests, so the next bridge continues where it stopped."""

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
"""Then a bridge that has not ended is killed."""
_MAX_WORD = 300


@dataclass(frozen=True)
class OscChoice:
    """How to run the bridge: its port, the folders in which DAWs may name clips (none: only the service's own rules
    apply), and the service to use, by its folder or by its address."""

    port: int = PORT
    roots: tuple[Path, ...] = ()
    service_folder: Path | None = None
    address: str = ""
    token: str = ""


@dataclass(frozen=True)
class OscState:
    """`kind` is "off", "starting", "listening" or "failed"; `message` says what to do about a failure; `last` is the
    last message to a DAW, as readable text."""

    kind: str = "off"
    port: int = 0
    message: str = ""
    last: str = ""


class OscProcess:
    """This Blender's OSC bridge. No method blocks."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the ledger and the log; it is created when needed."""
        self._folder = folder
        self._lock = threading.Lock()
        self._alone = threading.Lock()  # held while a bridge runs: the next one needs its port and ledger
        self._starts = 0
        self._port = PORT
        self._process: subprocess.Popen[bytes] | None = None
        self._state = OscState()

    @property
    def state(self) -> OscState:
        """The current state."""
        return self._state

    @property
    def log(self) -> Path:
        """The bridge's log since its last start."""
        return self._folder / f"osc-{self._port}.log"

    def start(self, command: Sequence[str], choice: OscChoice) -> None:
        """Start the bridge, replacing a running one.

        Args:
            command: the command line of `omniaudio`.
            choice: the bridge's settings.
        """
        self.stop()
        with self._lock:
            self._starts += 1
            self._port = choice.port
            self._state = OscState("starting", choice.port)
            start = self._starts
        threading.Thread(target=self._run, args=(start, command, choice), name="omniaudio osc", daemon=True).start()

    def stop(self) -> None:
        """Stop the bridge; the jobs of DAWs continue at the service."""
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
        """Run one bridge from start to end."""
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
            if self._starts == start:  # it was not stopped
                self._process = None
                message = self._state.message or _epitaph(code, self.log)
                self._state = replace(self._state, kind="failed", message=message)

    def _open(self, command: Sequence[str], choice: OscChoice) -> "subprocess.Popen[bytes]":
        # One ledger and log per port, so that a second Blender can run its own bridge.
        words = ["osc", "--child", "--port", str(choice.port), "--ledger"]
        words.append(str(self._folder / f"osc-{choice.port}.sqlite3"))
        for root in choice.roots:
            words += ["--allow-root", str(root)]
        if choice.service_folder is not None:
            words += ["--service-folder", str(choice.service_folder)]
        if choice.address:
            words += ["--service", choice.address]
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [*command, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Not on the command line, which every program of the machine can read.
                env={**os.environ, "PYTHONUTF8": "1", "OMNIAUDIO_TOKEN": choice.token},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # exists on Windows only
                start_new_session=True,  # Ctrl-C in Blender's terminal stops Blender only
            )

    def _take_in(self, start: int, line: bytes) -> None:
        try:
            report = json.loads(line)
            event = report["event"]
        except (ValueError, KeyError, TypeError):
            return
        with self._lock:
            if self._starts != start:
                return
            if event == "listening":
                self._state = replace(self._state, kind="listening")
            elif event == "said":
                self._state = replace(self._state, last=as_text(str(report["address"]), report["arguments"]))
            elif event == "error":
                self._state = replace(self._state, message=str(report["message"]))


def as_text(address: str, arguments: Sequence[Any]) -> str:
    """A message of the bridge as readable text; those that are not about requests stay as they are."""
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
