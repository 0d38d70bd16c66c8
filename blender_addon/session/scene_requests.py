"""Takes up requests that the service passes on: render the scene in 360°, for sound."""

import queue

import bpy

from omniaudio_client.client import Client
from omniaudio_client.records import Job

from ..core.job import BlenderJob
from ..service.scene_request import SceneRequest

LOOK_SECONDS = 0.5

_received: queue.SimpleQueue[SceneRequest] = queue.SimpleQueue()
_known: set[str] = set()
_working: BlenderJob | None = None


def receive(client: Client, job: Job) -> None:
    """Queues a job that waits for this Blender; called in the service's thread. Ignores jobs that a restarted service
    sends twice."""
    if job.id in _known:
        return
    _known.add(job.id)
    _received.put(SceneRequest(client, job))


def waiting() -> bool:
    """Whether a request is queued."""
    return not _received.empty()


def take() -> SceneRequest:
    """The oldest queued request."""
    return _received.get_nowait()


def begun(job: BlenderJob) -> None:
    """Sets the job of the request that was taken up; others wait, since Blender renders one scene at a time."""
    global _working  # noqa: PLW0603 (operators have no other way to tell the timer)
    _working = job


def _look() -> float:
    windows = bpy.context.window_manager.windows
    if waiting() and windows and (_working is None or _working.over):
        try:
            with bpy.context.temp_override(window=windows[0]):
                bpy.ops.omniaudio.answer_request("INVOKE_DEFAULT")
        except RuntimeError:
            pass  # the operator's report; the client got the message too
    return LOOK_SECONDS


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_look, first_interval=LOOK_SECONDS, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
