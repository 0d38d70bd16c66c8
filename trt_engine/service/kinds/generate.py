"""`generate`: spatial sound for a clip, or for a part of a take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from omniaudio.errors import ExitCode, UserError
from omniaudio.limits import (
    HIGHEST_OUTPUT_RATE,
    LARGEST_GUIDANCE,
    LOWEST_GAIN_DB,
    LOWEST_OUTPUT_RATE,
    MOST_STEPS,
    MOST_TAKES,
    Order,
)
from omniaudio.recognition.sources import Given
from trt_engine.service.kinds.attempt import Attempt
from trt_engine.service.kinds.request import (
    MAX_SEED,
    Lane,
    Length,
    Name,
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


class Inpainting(Record):
    """A part of a take that is made anew, while everything outside stays as it is."""

    sound: Source = Field(description="an AmbiX take of the same part of the same clip")
    start: Seconds = Field(description="seconds of `sound`")
    duration: Length = Field(description="seconds")
    gain_db: Annotated[float, Field(strict=True, ge=LOWEST_GAIN_DB, le=0)] | None = Field(
        default=None,
        description="the true-peak gain reduction of `sound`; else as the sidecar beside its path says, or 0",
    )


class GenerateRequest(Request):
    """A generation that is wanted. Where a value is left out, the model's or the clip's own is taken."""

    source: Source | SceneSource
    name: Stem | None = Field(default=None, description="the files' stem; else the source's own")
    model: Stem | None = Field(default=None, description="a name that `omniaudio models` lists; else the best one here")
    backend: Name = "auto"
    start: Seconds = Field(default=0.0, description="seconds into the clip")
    duration: Length | None = Field(default=None, description="seconds; else to the clip's end")
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    takes: int = Field(default=1, ge=1, le=MOST_TAKES)
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    guidance: Annotated[float, Field(strict=True, ge=-LARGEST_GUIDANCE, le=LARGEST_GUIDANCE)] | None = None
    rate: int | None = Field(default=None, ge=LOWEST_OUTPUT_RATE, le=HIGHEST_OUTPUT_RATE, description="Hz")
    preview: bool = True
    map: bool = True
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")
    inpainting: Inpainting | None = Field(
        default=None, description="make a part of this take anew instead of the whole clip"
    )
    sources: Given | None = Field(default=None, description="what sounds; else it is recognised in the clip")
    variation: Annotated[float, Field(strict=True, ge=0, le=1)] | None = Field(
        default=None, description="0 is an exemplar of each kind itself, 1 is free generation"
    )
    order: Order = Field(default=1, description="of the ambisonics")
    stems: bool = Field(default=False, description="each source's own sound as well, placed as in the whole")
    kind: Literal["generate"] = "generate"

    @model_validator(mode="after")
    def _part_of_a_whole(self) -> Self:
        if self.inpainting is not None and (self.stems or self.order != 1):
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

        part = None
        if self.inpainting is not None:
            wanted = self.inpainting
            sound = attempt.files["inpainting.sound"]
            part = inpainting.Inpainting(
                sound=sound, start=wanted.start, duration=wanted.duration, gain_db=wanted.gain_db
            )
        self._check_length(attempt)
        pipeline = attempt.models.pipeline(self.model, self.backend)
        request = takes.Request(
            input=attempt.files["source"],
            output=attempt.output(self.name, "source", ".ambix", ".wav"),
            start=self.start,
            duration=self.duration,
            seed=self.seed,
            takes=self.takes,
            steps=self.steps,
            guidance=self.guidance,
            rate=self.rate,
            preview=self.preview,
            map=self.map,
            force=self.force,
            allow_truncated=self.allow_truncated,
            inpainting=part,
            sources=self.sources,
            variation=self.variation,
            order=self.order,
            stems=self.stems,
        )
        made = takes.generate(request, pipeline, attempt.report, attempt.models.networks)
        return Result(
            model=pipeline.name,
            backend=str(pipeline.backend),
            takes=tuple(_result(attempt, take) for take in made),
            converted_from=None if part is None else converted_from(part.sound),
        )

    def _check_length(self, attempt: Attempt) -> None:
        """Raises UserError where the clip is missing or no clip, or more sound is asked for than the service makes."""
        # The worker's, which the service itself starts without.
        from omniaudio.video.clip import Clip  # noqa: PLC0415
        from omniaudio.video.time_range import wanted_range  # noqa: PLC0415

        if self.inpainting is not None:
            seconds = self.inpainting.duration
        else:
            info = Clip(attempt.files["source"]).info
            _, seconds = wanted_range(info, self.start, self.duration, self.allow_truncated)
        if seconds * self.takes > attempt.max_seconds:
            count = f"{self.takes} takes of " if self.takes > 1 else ""
            raise UserError(
                f"This service makes {attempt.max_seconds:g} s of sound a job at most, not {count}{seconds:g} s: ask "
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
