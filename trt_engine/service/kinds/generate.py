"""`generate`: spatial sound for a clip, or for a part of a take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from omniaudio.errors import ExitCode, UserError
from omniaudio.limits import MAX_OUTPUT_RATE, MIN_GAIN_DB, MIN_OUTPUT_RATE
from omniaudio.recognition.sources import Given
from omniaudio_client.options import GenerationOptions
from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import (
    Lane,
    Length,
    Request,
    SceneSource,
    Seconds,
    Source,
    Stem,
)
from trt_engine.service.kinds.result import Result, TakeResult
from trt_engine.service.records import Record

if TYPE_CHECKING:
    from omniaudio.generation.takes import Take
    from omniaudio.video.clip import Clip


class Inpainting(Record):
    """A range of a take to generate again while the rest stays."""

    sound: Source = Field(description="an AmbiX take of the same part of the same clip")
    start: Seconds = Field(description="seconds of `sound`")
    duration: Length = Field(description="seconds")
    gain_db: Annotated[float, Field(strict=True, ge=MIN_GAIN_DB, le=0)] | None = Field(
        default=None,
        description="the true-peak gain reduction of `sound`; else as the sidecar beside its path says, or 0",
    )


class GenerateRequest(Request):
    """A generation. Omitted values default to those of the model or the clip."""

    source: Source | SceneSource
    name: Stem | None = Field(default=None, description="the files' stem; else the source's own")
    start: Seconds = Field(default=0.0, description="seconds into the clip")
    duration: Length | None = Field(default=None, description="seconds; else to the clip's end")
    rate: int | None = Field(default=None, ge=MIN_OUTPUT_RATE, le=MAX_OUTPUT_RATE, description="Hz")
    options: GenerationOptions = GenerationOptions()
    force: bool = Field(default=False, description="treat the clip as a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="use the readable part of a file that was cut off")
    inpainting: Inpainting | None = Field(
        default=None, description="make a part of this take anew instead of the whole clip"
    )
    sources: Given | None = Field(default=None, description="what sounds; else it is recognised in the clip")
    kind: Literal["generate"] = "generate"

    @model_validator(mode="after")
    def _part_of_a_whole(self) -> Self:
        if self.inpainting is not None and (self.options.stems or self.options.order != 1):
            raise ValueError("inpainting has no stems, and the order of its take, which is 1")
        return self

    @property
    def lane(self) -> Lane:
        return Lane.BLENDER if isinstance(self.source, SceneSource) else Lane.MODEL

    @property
    def seconds(self) -> float | None:
        return self.duration

    def inputs(self) -> Mapping[str, Source]:
        clip = {} if isinstance(self.source, SceneSource) else {"source": self.source}
        return clip if self.inpainting is None else {**clip, "inpainting.sound": self.inpainting.sound}

    def run(self, attempt: Attempt) -> Result:
        # The worker's, which the service itself starts without.
        from omniaudio.audio.convention import converted_from  # noqa: PLC0415
        from omniaudio.generation import inpainting, takes  # noqa: PLC0415
        from omniaudio.generation.request import Request as TakesRequest  # noqa: PLC0415
        from omniaudio.video.clip import Clip  # noqa: PLC0415

        part = None
        if self.inpainting is not None:
            wanted = self.inpainting
            sound = attempt.files["inpainting.sound"]
            part = inpainting.Inpainting(
                sound=sound, start=wanted.start, duration=wanted.duration, gain_db=wanted.gain_db
            )
        clip = Clip(attempt.files["source"])
        self._check_length(clip, attempt.max_seconds)  # before a model is loaded
        pipeline = attempt.models.pipeline(self.options.model, self.options.backend)
        request = TakesRequest(
            input=clip.path,
            output=attempt.output(self.name, "source", ".ambix", ".wav"),
            start=self.start,
            duration=self.duration,
            rate=self.rate,
            options=self.options,
            force=self.force,
            allow_truncated=self.allow_truncated,
            inpainting=part,
            sources=self.sources,
        )
        made = takes.generate(request, pipeline, attempt.report, attempt.models.networks, clip)
        return Result(
            model=pipeline.name,
            backend=str(pipeline.backend),
            takes=tuple(_result(attempt, take) for take in made),
            converted_from=None if part is None else converted_from(part.sound),
        )

    def _check_length(self, clip: "Clip", max_seconds: float) -> None:
        """Raise UserError if the range is not in the clip, or the request is for more sound than the service allows."""
        # The worker's, which the service itself starts without.
        from omniaudio.video.time_range import requested_range  # noqa: PLC0415

        if self.inpainting is not None:
            seconds = self.inpainting.duration
        else:
            _, seconds = requested_range(clip.info, self.start, self.duration, self.allow_truncated)
        if seconds * self.options.takes > max_seconds:
            count = f"{self.options.takes} takes of " if self.options.takes > 1 else ""
            raise UserError(
                f"This service makes {max_seconds:g} s of sound a job at most, not {count}{seconds:g} s: ask "
                f"for less at a time with start and duration.",
                ExitCode.BAD_RANGE,
            )


def _result(attempt: Attempt, take: "Take") -> TakeResult:
    return TakeResult(
        sound=attempt.made(take.sound),
        sidecar=attempt.made(take.sidecar),
        preview=None if take.preview is None else attempt.made(take.preview),
        map=None if take.map is None else attempt.made(take.map),
        seed=take.seed,
        take=take.take,
        rate=take.rate,
        samples=take.samples,
        gain_db=take.gain_db,
        true_peak_dbtp=take.true_peak_dbtp,
        stems=tuple(attempt.made(path) for path in take.stems),
    )
