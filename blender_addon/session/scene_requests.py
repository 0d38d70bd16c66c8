"""Takes up what is asked of this Blender by way of the engine: its scene, rendered in 360°, with sound."""

import queue

import bpy

from omniaudio_client.client import Client
from omniaudio_client.records import Job

from ..core.job import Work
from ..service.scene_asked import Asked

LOOK_SECONDS = 0.5

_asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
_known: set[str] = set()
_working: Work | None = None


def asked(client: Client, job: Job) -> None:
    """There is a job that waits for this Blender; called from the engine's thread. An engine that has come back asks
    again for what it still waits for."""
    if job.id in _known:
        return
    _known.add(job.id)
    _asked.put(Asked(client, job))


def waiting() -> bool:
    """Whether there is one to be taken up."""
    return not _asked.empty()


def take() -> Asked:
    """The one that waits for longest."""
    return _asked.get_nowait()


def begun(work: Work) -> None:
    """The one that was taken up is being worked on: others wait, since Blender renders one thing at a time."""
    global _working  # noqa: PLW0603 (operators have no other way to tell the timer)
    _working = work


def _look() -> float:
    windows = bpy.context.window_manager.windows
    if waiting() and windows and (_working is None or _working.over):
        try:
            with bpy.context.temp_override(window=windows[0]):
                bpy.ops.omniaudio.answer_request("INVOKE_DEFAULT")
        except RuntimeError:
            pass  # so Blender passes on what the operator has reported; who asked has been told it too
    return LOOK_SECONDS


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_look, first_interval=LOOK_SECONDS, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
