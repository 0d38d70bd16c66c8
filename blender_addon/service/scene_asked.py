"""A sound of the scene that somebody, a DAW most likely, has asked the engine for: it waits for this Blender to render.

What is told to the engine is told by a thread, so that Blender never waits. Knows no bpy.
"""

import threading
import time

from omniaudio_client.client import Client
from omniaudio_client.http import TIMEOUT, UNREACHABLE, ServiceError
from omniaudio_client.records import Job, Progress, SceneSource

from ..core.errors import UserError
from ..core.frames import Placement

REPORT_SECONDS = 0.5
"""Between two reports, by which this Blender hears too whether the sound is still wanted."""
PATIENCE_SECONDS = 60.0
"""So long a refusal is repeated while the engine is away."""
RENDERING = "rendering in Blender"


class Asked:
    """A job of the engine that waits for a picture of this scene."""

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
        """Whether it was cancelled meanwhile, or has ended otherwise. Is known once it was begun."""
        return self._unwanted

    def begin(self) -> None:
        """Tell the engine from now on how far the rendering is."""
        self._reporter = threading.Thread(target=self._report, name="omniaudio scene", daemon=True)
        self._reporter.start()

    def tell(self, fraction: float) -> None:
        """How far the rendering is, 0 to 1."""
        self._fraction = fraction

    def end(self, refusal: str = "") -> None:
        """Nothing more is told. With a message the job fails, and whoever asked is told why. Only the first counts."""
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
                    continue  # an engine that comes back goes on with its jobs
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
            except ServiceError as error:  # any other code: the job has ended, or is gone
                if error.code not in (UNREACHABLE, TIMEOUT) or time.monotonic() > deadline:
                    return
            time.sleep(REPORT_SECONDS)


def frames_asked(source: SceneSource, scene: Placement) -> Placement:
    """The frames that are wanted of a scene that has these of its own. Raises UserError where they are none."""
    start = scene.start if source.frame_start is None else source.frame_start
    last = scene.end - 1 if source.frame_end is None else source.frame_end
    if last < start:
        raise UserError(
            f"The frames {start} to {last} are none: the scene in Blender has the frames {scene.start} to "
            f"{scene.end - 1}, name a frame_start and a frame_end."
        )
    return Placement(start, last - start + 1)
