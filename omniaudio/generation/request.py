"""Requests for the sound of a clip: their fields, their checks, and the request that repeats a take."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256
from omniaudio.generation.inpainting import Inpainting, open_part
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.placing import channels
from omniaudio.limits import OutputRate
from omniaudio.output import check_output
from omniaudio.paths import InputPath, OutputPath, check_name
from omniaudio.recognition.recognise import MAX_SOURCES
from omniaudio.recognition.sources import Sources
from omniaudio.sidecar import Inpainted, Sidecar
from omniaudio.versions import installed_versions
from omniaudio.video.clip import Clip, clip_sha256
from omniaudio.video.sphere import check_sphere
from omniaudio.video.stills import is_sequence
from omniaudio.video.time_range import requested_range
from omniaudio_client.options import MAX_TAKES, GenerationOptions

ALIKE_SECONDS = 0.1
"""By how much a take may be longer or shorter than its range of the clip."""

_log = logging.getLogger(__name__)


class Request(BaseModel):
    """A request for the sound of a clip. None stands for the default of the model or the clip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: InputPath
    output: OutputPath
    start: float = 0.0
    duration: float | None = None
    only_take: int | None = Field(
        default=None, ge=1, le=MAX_TAKES, description="deliver this take alone, from 1, as `output`"
    )
    rate: OutputRate | None = None
    options: GenerationOptions = GenerationOptions()
    sources: Sources | None = Field(default=None, description="what sounds; recognised if not given")
    inpainting: Inpainting | None = Field(
        default=None, description="inpaint this part of a take of `start` and `duration`"
    )
    force: bool = Field(default=False, description="treat the clip as a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="use what can be read of a truncated file")

    @model_validator(mode="after")
    def _has_the_take(self) -> Self:
        if self.only_take is not None and self.only_take > self.options.takes:
            raise ValueError(f"only_take must be 1 to {self.options.takes}, not {self.only_take}")
        if self.inpainting is not None and (self.options.stems or self.options.order != 1):
            raise ValueError("inpainting supports neither stems nor an order other than 1")
        return self


def paths(request: Request) -> Iterator[tuple[int, Path]]:
    """The requested takes: their numbers from 1, and their paths OUT.wav, OUT.take2.wav, …"""
    output = request.output
    if request.only_take is not None:
        yield request.only_take, output
        return
    for number in range(1, request.options.takes + 1):
        yield number, output if number == 1 else output.with_name(f"{output.stem}.take{number}{output.suffix}")


def check(request: Request, rate: int, clip: Clip | None = None) -> tuple[Clip, float, float]:
    """Checks whether a request can be carried out, before minutes are spent on it.

    Args:
        request: the request.
        rate: of the sound, in Hz.
        clip: the input, if it is open already.

    Returns:
        The clip, and the start and length of its range in seconds.

    Raises:
        UserError: the clip cannot be read, is not a panorama or lacks the range; the target cannot be written.
    """
    clip = clip or Clip(request.input)
    duration = request.duration if request.inpainting is None else _length_of_take(request, request.inpainting)
    start, seconds = requested_range(clip.info, request.start, duration, request.allow_truncated)
    samples = round(seconds * rate)
    if samples < 1:
        raise UserError(f"{seconds:g} s is less than one sample: set a longer --duration.", ExitCode.BAD_RANGE)
    check_target(request, samples)
    if not request.force:
        check_sphere(clip, start, seconds)
    return clip, start, seconds


def check_target(request: Request, samples: int) -> None:
    """Checks whether the files of a request can be written.

    Raises:
        UserError: the folder does not exist, is full or not writable; the target is not a `.wav`, or is the input.
    """
    folder = request.output.parent
    read = [request.input] if request.inpainting is None else [request.input, request.inpainting.sound]
    for _, path in paths(request):
        check_output(path, ".wav", *read)
    needed, free = samples * _bytes_per_sample(request) * request.options.takes, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are needed: make room there.",
            ExitCode.NOT_WRITABLE,
        )


def _bytes_per_sample(request: Request) -> int:
    """The most disk space a sample of a take needs: master and preview as 24 bit and as temporary float32; the stems as
    temporary float32 of one channel, and as 24 bit if requested."""
    written = channels(request.options.order) + 2
    stems = MAX_SOURCES + 1
    return written * (3 + 4) + stems * 4 + (stems * channels(request.options.order) * 3 if request.options.stems else 0)


def _length_of_take(request: Request, inpainting: Inpainting) -> float:
    """Length in seconds of the take to inpaint. Raises UserError if the request has another rate or duration."""
    sound = open_part(inpainting).sound
    if request.rate not in (None, sound.rate):
        raise UserError(
            f"{sound.path.name} has {sound.rate} Hz, which inpainting keeps: leave out --rate.",
            ExitCode.BAD_RANGE,
        )
    if request.duration is not None and abs(request.duration - sound.seconds) > ALIKE_SECONDS:
        raise UserError(
            f"{sound.path.name} is {sound.seconds:g} s long, not {request.duration:g} s: repeat the "
            f"--start and --duration that it was generated with.",
            ExitCode.BAD_RANGE,
        )
    return sound.seconds


def repeat(
    sidecar_path: Path,
    stages: Stages,
    clip: Path | None = None,
    output: Path | None = None,
    sound: Path | None = None,
) -> Request:
    """The request that repeats a take, bit for bit, from its sidecar.

    Args:
        sidecar_path: the `.json` beside the take.
        stages: the model on the back-end that the sidecar names.
        clip: the input, if it has been moved.
        output: the target; the take itself if None.
        sound: the take that was inpainted, if it has been moved.

    Raises:
        UserError: input, sound or model is not the one that the take was generated from.
    """
    sidecar = Sidecar.read(sidecar_path)
    clip = check_name(clip or Path(os.path.normpath(sidecar_path.parent / sidecar.input)))
    if not is_sequence(clip) and not clip.exists():
        raise UserError(f"There is no file {clip}: name the input if it was moved.", ExitCode.NO_INPUT)
    if clip_sha256(clip) != sidecar.input_sha256:
        raise UserError(
            f"{clip} is not the input of {sidecar_path.name} (its hash differs): name the right one.",
            ExitCode.NO_INPUT,
        )
    if stages.identity != sidecar.model_sha256:
        raise UserError(
            f"The model {stages.name} is not the one of {sidecar_path.name} (its hash differs): name the folder of the "
            f"right one with --model.",
            ExitCode.NO_MODEL,
        )
    inpainting = None if sidecar.inpainting is None else _same_part(sidecar.inpainting, sidecar_path, sound)
    here = {**installed_versions(), **stages.versions}
    for library, version in sidecar.versions.items():
        if library in here and here[library] != version:
            _log.warning(
                "The take was generated with %s %s; installed is %s, so the result may differ.",
                library,
                version,
                here[library],
            )
    return as_request(sidecar, clip, output or sidecar_path.with_suffix(".wav"), inpainting)


def as_request(sidecar: Sidecar, clip: Path, output: Path, inpainting: Inpainting | None) -> Request:
    """A sidecar as a request, with the paths as they are now. Every sidecar that can be read gives a valid one."""
    return Request(
        input=clip,
        output=output,
        start=sidecar.start,
        duration=sidecar.duration,
        only_take=sidecar.take,
        rate=sidecar.rate if inpainting is None else None,  # inpainting keeps the take's
        options=sidecar.options,
        sources=sidecar.sources,
        inpainting=inpainting,
        force=True,
    )


def _same_part(made: Inpainted, sidecar_path: Path, moved: Path | None) -> Inpainting:
    """The inpainting that a sidecar describes. Raises UserError if the take is missing or is not the same file."""
    sound = check_name(moved or Path(os.path.normpath(sidecar_path.parent / made.sound)))
    if not sound.is_file():
        raise UserError(f"There is no file {sound}: if the take was moved, name it with --inpaint.", ExitCode.NO_INPUT)
    if file_sha256(sound) != made.sound_sha256:
        raise UserError(
            f"{sound} is not the take that was inpainted for {sidecar_path.name} (its hash differs): name the right "
            f"one with --inpaint.",
            ExitCode.NO_INPUT,
        )
    return Inpainting(sound=sound, start=made.start, duration=made.duration, gain_db=made.gain_db)
