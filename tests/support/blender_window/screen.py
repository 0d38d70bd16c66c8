"""A screen without a monitor, with a mouse and a keyboard that are moved from here."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.paths import REPOSITORY

WIDTH, HEIGHT = 1600, 900

_SETTLED_SECONDS = 0.12
"""From a move of the mouse to what it does: Blender looks what is below it when it next goes through its loop."""


def in_blender_s_system(command: Sequence[str]) -> list[str]:
    """The words that run a command where the whole Blender is installed."""
    return [sys.executable, str(REPOSITORY / "build" / "blender_window.py"), "run", *command]


class Screen:
    """An X server with `WIDTH` times `HEIGHT` pixels; places on it are counted from the top left."""

    def __init__(self) -> None:
        """Returns when it answers."""
        read, write = os.pipe()
        size = f"{WIDTH}x{HEIGHT}x24"
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp", "-noreset"]
        self._server = subprocess.Popen(
            in_blender_s_system(command), pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(write)
        with os.fdopen(read) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        self.name = f":{number}"
        environment = {**os.environ, "DISPLAY": self.name}
        self._shell = subprocess.Popen(
            in_blender_s_system(["sh"]), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def point(self, x: int, y: int) -> None:
        """Move the mouse there."""
        self._xdotool(f"mousemove {x} {y} sleep {_SETTLED_SECONDS}")

    def click(self, x: int, y: int) -> None:
        """Press the left button there."""
        self._xdotool(f"mousemove {x} {y} sleep 0.4 click 1 sleep {_SETTLED_SECONDS}")

    def press(self, keys: str) -> None:
        """Press keys where the mouse is, in xdotool's names: `Escape`, `ctrl+z`."""
        self._xdotool(f"key {keys} sleep {_SETTLED_SECONDS}")

    def press_at(self, x: int, y: int, keys: str) -> None:
        """Move the mouse there and press keys, without waiting for what they do."""
        self._xdotool(f"mousemove {x} {y} sleep 0.02 key {keys}")

    def screenshot(self, path: Path) -> Path:
        """Write what the screen shows as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._do(f"import -window root png:'{path}'")
        return path

    def close(self) -> None:
        """Switch it off, with what it shows."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.stdout.close()
        self._shell.wait()
        self._server.terminate()
        self._server.wait()

    def _xdotool(self, words: str) -> None:
        self._do(f"xdotool {words}")

    def _do(self, line: str) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{line}; echo $?\n")
        self._shell.stdin.flush()
        status = self._shell.stdout.readline().strip()
        assert status == "0", f"{line}: exit status {status}"
