"""A Blender that runs in a window of a `Screen`, with the extension installed: asked from here, and used by hand."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from support.blender_window.screen import HEIGHT, WIDTH, Screen, in_blender_s_system

AGENT = Path(__file__).with_name("agent.py")
SECONDS_TO_START = 180.0
SECONDS_TO_ANSWER = 120.0
SECONDS_TO_QUIT = 120.0
ROW = 12
"""Pixels between two places where a button is looked for; one is 20 high."""
LOOPS = 3
"""Of Blender's loop until what X has told it is handled: read, queued, done."""


def environment(user: Path, service: Path) -> dict[str, str]:
    """In which Blender keeps its settings in `user`, and finds the service by the program `service`."""
    return {
        **os.environ,
        "BLENDER_USER_RESOURCES": str(user),
        "OMNIAUDIO_PYTHON": str(service),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": str(user),
        "LC_ALL": "C.UTF-8",
    }


class LiveBlender:
    """One Blender; `screen` is its own, so that it has the keyboard."""

    _found: ClassVar[dict[tuple[str, int | None], int]] = {}
    """How far below the sidebar's top a button was found last, in any Blender: it is looked for there first."""

    def __init__(self, screen: Screen, user: Path, service: Path, log: Path) -> None:
        """Returns when its window stands. `user` has the settings and the extension, `log` is what it says."""
        self.screen, self.log = screen, log
        with socket.create_server(("127.0.0.1", 0)) as server, log.open("wb") as said:
            server.settimeout(SECONDS_TO_START)
            port = str(server.getsockname()[1])
            # What it saves when it ends goes to the folder for temporary files.
            command = ["env", f"TMPDIR={user}", "blender"]
            command += ["--window-geometry", "0", "0", str(WIDTH), str(HEIGHT), "--python", str(AGENT)]
            self.process = subprocess.Popen(
                in_blender_s_system([*command, "--", port]),
                env={**environment(user, service), "DISPLAY": screen.name},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            self._connection = server.accept()[0]
        self._connection.settimeout(SECONDS_TO_ANSWER)
        self._lines = self._connection.makefile("r", encoding="utf-8")
        self.ask("True")

    def ask(self, expression: str) -> Any:
        """The value of a Python expression there, with the names of agent.py."""
        return self._call({"ask": expression})

    def do(self, statements: str) -> None:
        """Have it carry out Python statements."""
        self._call({"do": statements})

    def wait_for(self, expression: str, seconds: float = 120.0) -> Any:
        """The first value of an expression that is true."""
        return wait_for(lambda: self.ask(expression), f"{expression}; jobs: {self.jobs()}", seconds)

    def jobs(self) -> list[dict[str, Any]]:
        """As agent.jobs says."""
        jobs: list[dict[str, Any]] = self.ask("jobs()")
        return jobs

    def strips(self, role: str) -> list[dict[str, Any]]:
        """Those with a role of the extension: `master`, `preview`, `group`, `clip`."""
        return [strip for strip in self.ask("strips()") if strip["role"] == role]

    def open_sidebar(self) -> None:
        """The sequencer's, at our tab."""
        self.do("show_sequencer()")
        self.wait_for("sidebar()[2] > 100")
        # It has tabs once it was drawn.
        self.wait_for("next(r for r in sequencer().regions if r.type == 'UI').active_panel_category != 'UNSUPPORTED'")
        self.do("next(r for r in sequencer().regions if r.type == 'UI').active_panel_category = 'Spatial Audio'")
        time.sleep(0.5)  # drawn

    def find_button(self, operator: str, from_right: int | None = None) -> tuple[int, int]:
        """Where a button of the sidebar is on the screen, found as a user can: Ctrl C above one copies its operator.

        Args:
            operator: as it is copied, like `bpy.ops.omniaudio.generate(`.
            from_right: look so many pixels from the sidebar's right edge; else in the middle.
        """
        left, top, width, height = self.ask("sidebar()")
        x = left + (width // 2 if from_right is None else width - from_right)
        rows = range(top + ROW, top + height, ROW)
        known = [top + self._found[operator, from_right]] if (operator, from_right) in self._found else []
        for y in (*known, *rows, *rows):  # twice: the panel may have moved meanwhile
            self.do("bpy.context.window_manager.clipboard = 'nothing'")
            self.screen.press_at(x, y, "ctrl+c")
            for _ in range(LOOPS):
                copied = self.ask("bpy.context.window_manager.clipboard")
            if operator in copied:
                self._found[operator, from_right] = y - top
                return x, y + ROW // 4
        raise AssertionError(f"no button {operator} in the sidebar")

    def click_button(self, operator: str, from_right: int | None = None) -> None:
        """Press it by mouse."""
        self.screen.click(*self.find_button(operator, from_right))

    def over_sequence(self) -> None:
        """Move the mouse to the strips, where keys are the sequencer's."""
        left, top, _, height = self.ask("sidebar()")
        self.screen.point(left // 2, top + height // 2)

    def quit(self) -> None:
        """End it in order, if it has not ended yet; unsaved work is given up."""
        if self.process.poll() is None:
            self._connection.sendall(b'{"do": "bpy.ops.wm.quit_blender()"}\n')
        self.wait_for_end()

    def wait_for_end(self) -> int:
        """Its exit code."""
        try:
            code = self.process.wait(SECONDS_TO_QUIT)
        finally:
            self.process.kill()
            self._lines.close()
            self._connection.close()
        return code

    def _call(self, question: dict[str, str]) -> Any:
        self._connection.sendall((json.dumps(question) + "\n").encode())
        answer = json.loads(self._lines.readline())
        assert "error" not in answer, f"{question}: {answer.get('error')}"
        return answer["value"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """The first value of `condition` that is true; AssertionError with `what` if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return value
