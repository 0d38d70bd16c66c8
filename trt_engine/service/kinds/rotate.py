"""`rotate`: a sound in the world's axes, which a rotating camera took in its own."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import Request, SoundSource, Source, Stem
from trt_engine.service.kinds.result import Result, TakeResult


class RotateRequest(Request):
    """A rotation of a head-locked sound to a world-locked one."""

    sound: SoundSource
    orientations: Source = Field(
        description="a JSON file as `omniaudio rotate` reads it: the camera's orientations by time"
    )
    name: Stem | None = None
    preview: bool = True
    kind: Literal["rotate"]

    def inputs(self) -> Mapping[str, Source]:
        return {"sound": self.sound, "orientations": self.orientations}

    def run(self, attempt: Attempt) -> Result:
        # The worker's, which the service itself starts without.
        from omniaudio.audio.convention import converted_from  # noqa: PLC0415
        from omniaudio.audio.rotation import RotationRequest, read_orientations, rotate_to_world  # noqa: PLC0415

        sound = attempt.files["sound"]
        orientations = read_orientations(attempt.files["orientations"])
        output = attempt.output(self.name, "sound", ".world", ".wav")
        wanted = RotationRequest(sound=sound, output=output, orientations=orientations, preview=self.preview)
        made = rotate_to_world(wanted, attempt.report)
        take = TakeResult(
            sound=attempt.made(made.sound),
            sidecar=attempt.made(made.sidecar),
            preview=None if made.preview is None else attempt.made(made.preview),
            map=None,
            seed=None,
            take=1,
            rate=made.rate,
            samples=made.samples,
            gain_db=made.gain_db,
            true_peak_dbtp=made.true_peak_dbtp,
        )
        return Result(takes=(take,), converted_from=converted_from(sound))
