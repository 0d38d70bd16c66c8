"""`map`: a video of where a sound comes from, drawn over its panorama."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import Request, Seconds, SoundSource, Source, Stem
from trt_engine.service.kinds.result import Result


class MapRequest(Request):
    """A direction map as a video."""

    sound: SoundSource
    clip: Source
    name: Stem | None = None
    clip_start: Seconds = Field(default=0.0, description="seconds of the clip at which the sound begins")
    kind: Literal["map"]

    def inputs(self) -> Mapping[str, Source]:
        return {"sound": self.sound, "clip": self.clip}

    def run(self, attempt: Attempt) -> Result:
        # The worker's, which the service itself starts without.
        from omniaudio.audio.convention import converted_from  # noqa: PLC0415
        from omniaudio.export360 import direction_map_video  # noqa: PLC0415

        output = attempt.output(self.name, "sound", ".map", ".mp4")
        wanted = direction_map_video.DirectionMapVideoRequest(
            clip=attempt.files["clip"], sound=attempt.files["sound"], output=output, clip_start=self.clip_start
        )
        made = direction_map_video.write_direction_map_video(wanted, attempt.report)
        return Result(files=(attempt.made(made),), converted_from=converted_from(attempt.files["sound"]))
