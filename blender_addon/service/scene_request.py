"""A request for sound of the scene, usually from a DAW, which waits for this Blender to render.

A thread sends reports to the service, so Blender never blocks. Does not import bpy.
"""

import threading
import time

from omniaudio_client.client import Client
from omniaudio_client.http import TIMEOUT, UNREACHABLE, ServiceError
from omniaudio_client.records import Job, Progress, SceneSource

from ..core.errors import UserError
from ..core.frames import Placement

REPORT_SECONDS = 0.5
"""Between two reports; the answer says whether the job was cancelled."""
PATIENCE_SECONDS = 60.0
"""How long a refusal is retried while the service is unreachable."""
RENDERING = "rendering in Blender"


class SceneRequest:
    """A job at the service that waits for a render of this scene."""

    def __init__(self, client: Client, job: Job) -> None:
        self.job = job
        self._client = client
        self._unwanted = False
        self._fraction = 0.0
        self._refusal = ""
        self._reporter: threading.Thread | None = None
        self._ended = threading.Event()

    @property
    def unwanted(self) -> bool:
        """Whether the job has ended, for instance by cancelling. Updated after `begin`."""
        return self._unwanted

    def begin(self) -> None:
        """Start reporting the progress to the service."""
        self._reporter = threading.Thread(target=self._report, name="omniaudio scene", daemon=True)
        self._reporter.start()

    def report(self, fraction: float) -> None:
        """Set the fraction rendered, 0 to 1."""
        self._fraction = fraction

    def end(self, refusal: str = "") -> None:
        """Stop reporting. With a `refusal` the job fails with that message. Later calls do nothing."""
        if self._ended.is_set():
            return
        self._refusal = refusal
        self._ended.set()
        if refusal and self._reporter is None:
            threading.Thread(target=self._refuse, name="omniaudio scene", daemon=True).start()

    def _report(self) -> None:
        while not self._ended.wait(REPORT_SECONDS):
            try:
                now = self._client.rendering(self.job.id, Progress(RENDERING, self._fraction))
            except ServiceError as error:
                if error.code in (UNREACHABLE, TIMEOUT):
                    continue  # a restarted service resumes its jobs
                self._unwanted = True
                return
            if now.over:
                self._unwanted = True
                return
        if self._refusal:
            self._refuse()

    def _refuse(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._client.refuse(self.job.id, self._refusal)
                return
            except ServiceError as error:  # any other code: the job has ended or was removed
                if error.code not in (UNREACHABLE, TIMEOUT) or time.monotonic() > deadline:
                    return
            time.sleep(REPORT_SECONDS)


def requested_frames(source: SceneSource, scene: Placement) -> Placement:
    """The requested frames; missing ends are the scene's. Raises UserError if the range is empty."""
    start = scene.start if source.frame_start is None else source.frame_start
    last = scene.end - 1 if source.frame_end is None else source.frame_end
    if last < start:
        raise UserError(
            f"The range from frame {start} to {last} is empty: the scene in Blender has the frames {scene.start} to "
            f"{scene.end - 1}; give a frame_start and a frame_end."
        )
    return Placement(start, last - start + 1)
