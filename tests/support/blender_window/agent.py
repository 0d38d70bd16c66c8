"""Runs inside Blender (`blender --python agent.py -- PORT`): does what the tests ask for, on Blender's main thread.

A line of JSON `{"do": statements}` or `{"ask": expression}` is answered by one, `{"value": …}` or
`{"error": traceback}`. It looks and prepares; what a user does with mouse and keys the tests do with mouse and keys.
"""

import contextlib
import importlib
import json
import queue
import socket
import sys
import threading
import time
import traceback
from types import ModuleType

import bpy

PACKAGE = "bl_ext.user_default.omniaudio"
INTERVAL_SECONDS = 0.002


def addon(name: str) -> ModuleType:
    """A module of the installed extension."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def sequencer() -> bpy.types.Area:
    """The sequencer's area in the window."""
    screen = bpy.context.window_manager.windows[0].screen
    return next(area for area in screen.areas if area.type == "SEQUENCE_EDITOR")


def show_sequencer() -> None:
    """Have the largest area be the sequencer, with its sidebar."""
    window = bpy.context.window_manager.windows[0]
    area = max(window.screen.areas, key=lambda area: area.width * area.height)
    area.ui_type = "SEQUENCE_EDITOR"
    area.spaces[0].show_region_ui = True
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = window.scene


def sidebar() -> list[int]:
    """Where the sidebar's panels are on the screen: left, top, width and height in pixels."""
    region = next(region for region in sequencer().regions if region.type == "UI")
    height = bpy.context.window_manager.windows[0].height
    return [region.x, height - region.y - region.height, region.width, region.height]


def jobs() -> list[dict[str, object]]:
    """The extension's jobs, the oldest first."""
    return [
        {
            "state": job.state,
            "stage": job.progress.stage,
            "fraction": job.progress.fraction,
            "message": job.error.message if job.error else job.outcome.message if job.outcome else "",
        }
        for job in addon("core.job").jobs
    ]


def sequence() -> bpy.types.SequenceEditor:
    """The scene's, in the window."""
    return bpy.context.window_manager.windows[0].scene.sequence_editor


def strips() -> list[dict[str, object]]:
    """Every strip of the scene, those in meta strips too."""
    editor = sequence()
    return [
        {
            "name": strip.name,
            "type": strip.type,
            "channel": strip.channel,
            "mute": strip.mute,
            "role": strip.get("omniaudio", {}).get("role", ""),
            "file": bpy.path.abspath(strip.sound.filepath) if strip.type == "SOUND" else "",
        }
        for strip in (editor.strips_all if editor else ())
    ]


class Gaps:
    """How long the main thread was busy with something else than its loop, and with the extension."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """From now on."""
        self.gaps: list[float] = []
        self.parts: dict[str, list[list[float]]] = {}
        self._last = time.perf_counter()

    def tick(self) -> None:
        """At each turn of the loop."""
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now

    def watch(self, owner: object, name: str, label: str) -> None:
        """Take the time of a function of the extension."""
        real = getattr(owner, name)

        def timed(*arguments: object, **named: object) -> object:
            wall, own = time.perf_counter(), time.thread_time()
            try:
                return real(*arguments, **named)
            finally:
                spent = [1000 * (time.perf_counter() - wall), 1000 * (time.thread_time() - own)]
                self.parts.setdefault(label, []).append(spent)

        setattr(owner, name, timed)

    def watch_drawing(self, panel: type[bpy.types.Panel]) -> None:
        """As `watch`, for a method whose arguments Blender counts."""
        self.watch(panel, "draw", f"drawing of {panel.__name__}")
        timed = panel.draw
        panel.draw = lambda self, context: timed(self, context)  # noqa: PLW0108

    def result(self) -> dict[str, object]:
        """In ms: the longest gaps; of each part how often, and the longest in wall-clock time and in the thread's."""
        parts = {
            label: {
                "calls": len(spent),
                "longest": round(max(wall for wall, _ in spent), 1),
                "longest_own": round(max(own for _, own in spent), 1),
            }
            for label, spent in self.parts.items()
        }
        ordered = sorted(self.gaps)
        return {
            "turns": len(ordered),
            "longest": [round(1000 * gap, 1) for gap in ordered[:-6:-1]],
            "percentile_99": round(1000 * ordered[int(0.99 * len(ordered))], 1),
            "parts": parts,
        }


gaps = Gaps()


def watch_parts() -> None:
    """Take the times of what the extension does on the main thread."""
    gaps.watch(addon("core.job").BlenderJob, "step", "step of a job")
    gaps.watch(addon("sequencer.strips"), "insert_takes", "insertion of the strips")
    for name in ("OMNIAUDIO_PT_generate", "OMNIAUDIO_PT_takes", "OMNIAUDIO_PT_jobs"):
        panel = getattr(bpy.types, name, None)
        if panel is not None:
            gaps.watch_drawing(panel)


_asked: "queue.SimpleQueue[dict[str, str]]" = queue.SimpleQueue()
_connection = socket.create_connection(("127.0.0.1", int(sys.argv[-1])))


def _receive() -> None:
    with _connection.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            _asked.put(json.loads(line))


def _answer(asked: dict[str, str]) -> dict[str, object]:
    try:
        if "do" in asked:
            exec(asked["do"], globals())
            return {"value": None}
        return {"value": eval(asked["ask"], globals())}
    except Exception:
        return {"error": traceback.format_exc()}


def _tick() -> float:
    gaps.tick()
    with contextlib.suppress(queue.Empty):
        while True:
            answer = _answer(_asked.get_nowait())
            _connection.sendall((json.dumps(answer) + "\n").encode())
    return INTERVAL_SECONDS


threading.Thread(target=_receive, daemon=True).start()
bpy.context.preferences.view.show_splash = False
bpy.app.timers.register(_tick, persistent=True)
