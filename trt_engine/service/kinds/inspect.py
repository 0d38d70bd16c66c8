"""`inspect`: recognises the sources in a clip, to be reviewed, edited, and given to a generation."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from omniaudio.progress import Progress, Task
from omniaudio.recognition.sources import Sources
from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import Length, Request, Seconds, Source
from trt_engine.service.kinds.result import Result

_UNITS, _SECONDS = 100, 5.0
"""Of the progress: parts of the whole, and about how long that takes."""


class InspectResult(Result):
    """The sources in a clip."""

    sources: Sources


class InspectRequest(Request):
    """An inspection."""

    result: ClassVar[type[Result]] = InspectResult

    source: Source
    start: Seconds = Field(default=0.0, description="seconds into the clip")
    duration: Length | None = Field(default=None, description="seconds; else to the clip's end")
    force: bool = Field(default=False, description="treat the clip as a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="use the readable part of a file that was cut off")
    kind: Literal["inspect"]

    def inputs(self) -> Mapping[str, Source]:
        return {"source": self.source}

    def run(self, attempt: Attempt) -> InspectResult:
        # The worker's, which the service itself starts without.
        from omniaudio.generation.pipeline import LOOKING  # noqa: PLC0415
        from omniaudio.recognition.recognise import recognise  # noqa: PLC0415
        from omniaudio.video.clip import Clip  # noqa: PLC0415
        from omniaudio.video.time_range import requested_range  # noqa: PLC0415

        clip, networks = Clip(attempt.files["source"]), attempt.models.networks()
        start, duration = self.start, self.duration
        if clip.info.duration is not None:
            start, duration = requested_range(clip.info, start, duration, self.allow_truncated)
        progress = Progress(attempt.report, [Task(LOOKING, _UNITS, _SECONDS / _UNITS)])
        progress.begin(LOOKING)
        looked = partial(progress.reach, LOOKING)
        found = recognise(clip, networks, start=start, duration=duration, checked=self.force, report=looked)
        return InspectResult(sources=found)
