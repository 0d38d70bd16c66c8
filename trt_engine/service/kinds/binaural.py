"""`binaural`: a sound as a turned head hears it, in two channels for headphones."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import Degrees, Request, SoundSource, Source, Stem
from trt_engine.service.kinds.result import Result


class BinauralRequest(Request):
    """A binaural rendering, with the head's rotation in degrees."""

    sound: SoundSource
    name: Stem | None = None
    yaw: Degrees = Field(default=0.0, description="to the left")
    pitch: Degrees = Field(default=0.0, description="nose up")
    roll: Degrees = Field(default=0.0, description="left ear up")
    kind: Literal["binaural"]

    def inputs(self) -> Mapping[str, Source]:
        return {"sound": self.sound}

    def run(self, attempt: Attempt) -> Result:
        # The worker's, which the service itself starts without.
        from omniaudio.audio import binaural  # noqa: PLC0415
        from omniaudio.audio.convention import converted_from  # noqa: PLC0415

        sound = attempt.files["sound"]
        output = attempt.output(self.name, "sound", ".headphones", ".wav")
        angles = {"yaw": self.yaw, "pitch": self.pitch, "roll": self.roll}
        wanted = binaural.BinauralRequest(sound=sound, output=output, **angles)
        made = binaural.write_binaural(wanted, attempt.report)
        return Result(files=(attempt.made(made),), converted_from=converted_from(sound))
