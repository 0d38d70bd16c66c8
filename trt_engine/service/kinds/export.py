"""`export`: a 360° video with spatial audio."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from omniaudio.export360.audio_track import Codec
from omniaudio.video.container import Stereo
from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import Request, Seconds, SoundSource, Source, Stem
from trt_engine.service.kinds.result import Result

_SUFFIXES = {Codec.PCM: ".mov", Codec.OPUS: ".mp4", Codec.AAC: ".mp4"}


class ExportRequest(Request):
    """An export as a 360° video with spatial audio."""

    sound: SoundSource
    clip: Source
    name: Stem | None = None
    clip_start: Seconds = Field(default=0.0, description="seconds of the clip at which the sound begins")
    codec: Codec = Codec.PCM
    stereo: Stereo | None = Field(default=None, description="the clip's own where None")
    force: bool = Field(default=False, description="treat the clip as a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="use the readable part of a file that was cut off")
    kind: Literal["export"]

    def inputs(self) -> Mapping[str, Source]:
        return {"sound": self.sound, "clip": self.clip}

    def run(self, attempt: Attempt) -> Result:
        # The worker's, which the service itself starts without.
        from omniaudio.audio.convention import converted_from  # noqa: PLC0415
        from omniaudio.export360 import spatial_video  # noqa: PLC0415

        wanted = spatial_video.ExportRequest(
            clip=attempt.files["clip"],
            sound=attempt.files["sound"],
            output=attempt.output(self.name, "clip", ".spatial", _SUFFIXES[self.codec]),
            codec=self.codec,
            clip_start=self.clip_start,
            stereo=self.stereo,
            force=self.force,
            allow_truncated=self.allow_truncated,
        )
        made = spatial_video.export_spatial_video(wanted, attempt.report).path
        return Result(files=(attempt.made(made),), converted_from=converted_from(attempt.files["sound"]))
