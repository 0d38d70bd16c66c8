"""A request for the sound of a clip: what is wanted, whether that can be done, and the one that repeats a take."""

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
"""By how much a take may be longer or shorter than the clip's part that it belongs to."""

_log = logging.getLogger(__name__)


class Request(BaseModel):
    """What is wanted. Where a value is None the model's or the clip's own is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: InputPath
    output: OutputPath
    start: float = 0.0
    duration: float | None = None
    only_take: int | None = Field(
        default=None, ge=1, le=MAX_TAKES, description="deliver this one alone, from 1, as `output`"
    )
    rate: OutputRate | None = None
    options: GenerationOptions = GenerationOptions()
    sources: Sources | None = Field(default=None, description="what sounds; recognised where it is not given")
    inpainting: Inpainting | None = Field(
        default=None, description="make this part anew of a take of `start` and `duration`"
    )
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")

    @model_validator(mode="after")
    def _has_the_take(self) -> Self:
        if self.only_take is not None and self.only_take > self.options.takes:
            raise ValueError(f"only_take is one of the {self.options.takes} takes, not {self.only_take}")
        if self.inpainting is not None and (self.options.stems or self.options.order != 1):
            raise ValueError("inpainting has no stems, and the order of its take, which is 1")
        return self


def paths(request: Request) -> Iterator[tuple[int, Path]]:
    """Every take that is wanted, by its number from 1, and its sound's path: OUT.wav, OUT.take2.wav, …"""
    output = request.output
    if request.only_take is not None:
        yield request.only_take, output
        return
    for number in range(1, request.options.takes + 1):
        yield number, output if number == 1 else output.with_name(f"{output.stem}.take{number}{output.suffix}")


def check(request: Request, rate: int) -> tuple[Clip, float, float]:
    """Whether a request can be carried out, before minutes are spent on it.

    Args:
        request: what is wanted.
        rate: of the sound, in Hz.

    Returns:
        The clip, and the start and the length of its part in seconds.

    Raises:
        UserError: the clip cannot be read, is no panorama or lacks the range; the target cannot be written.
    """
    clip = Clip(request.input)
    duration = request.duration if request.inpainting is None else _length_of_take(request, request.inpainting)
    start, seconds = requested_range(clip.info, request.start, duration, request.allow_truncated)
    samples = round(seconds * rate)
    if samples < 1:
        raise UserError(f"{seconds:g} s is less than one sample: ask for a longer --duration.", ExitCode.BAD_RANGE)
    check_target(request, samples)
    if not request.force:
        check_sphere(clip, start, seconds)
    return clip, start, seconds


def check_target(request: Request, samples: int) -> None:
    """Whether the files of a request can be written.

    Raises:
        UserError: no such folder, not writable, full, not a `.wav`, or the input itself.
    """
    folder = request.output.parent
    read = [request.input] if request.inpainting is None else [request.input, request.inpainting.sound]
    for _, path in paths(request):
        check_output(path, ".wav", *read)
    needed, free = samples * _bytes_per_sample(request) * request.options.takes, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has room for {free / 1e6:.0f} MB and {needed / 1e6:.0f} MB are needed: make room there.",
            ExitCode.NOT_WRITABLE,
        )


def _bytes_per_sample(request: Request) -> int:
    """What a sample of a take needs on the disk at most: master and preview as 24 bit, both waiting as float32; and the
    stems, which wait as float32 of one channel, and may be written."""
    written = channels(request.options.order) + 2
    stems = MAX_SOURCES + 1
    return written * (3 + 4) + stems * 4 + (stems * channels(request.options.order) * 3 if request.options.stems else 0)


def _length_of_take(request: Request, inpainting: Inpainting) -> float:
    """Seconds of the take of which a part is made again. Raises UserError where the request wants another sound."""
    sound = open_part(inpainting).sound
    if request.rate not in (None, sound.rate):
        raise UserError(
            f"{sound.path.name} has {sound.rate} Hz, and so has what is made of it: leave out --rate.",
            ExitCode.BAD_RANGE,
        )
    if request.duration is not None and abs(request.duration - sound.seconds) > ALIKE_SECONDS:
        raise UserError(
            f"{sound.path.name} has {sound.seconds:g} s, and not the {request.duration:g} s of the clip's part: give "
            f"the --start and --duration that it was made with.",
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
    """The request that makes a take again, to the bit, from its sidecar.

    Args:
        sidecar_path: the `.json` beside the take.
        stages: the model on the back-end that the sidecar names.
        clip: the input, where it has been moved.
        output: where to; in place of the take itself where None.
        sound: the take of which a part was made again, where it has been moved.

    Raises:
        UserError: input, sound or model is not the one that the take was made of.
    """
    sidecar = Sidecar.read(sidecar_path)
    clip = check_name(clip or Path(os.path.normpath(sidecar_path.parent / sidecar.input)))
    if not is_sequence(clip) and not clip.exists():
        raise UserError(f"There is no file {clip}: name the input, if it was moved.", ExitCode.NO_INPUT)
    if clip_sha256(clip) != sidecar.input_sha256:
        raise UserError(
            f"{clip} is not the file that {sidecar_path.name} was made of (its hash differs): name the right one.",
            ExitCode.NO_INPUT,
        )
    if stages.identity != sidecar.model_sha256:
        raise UserError(
            f"The model {stages.name} is not the one that {sidecar_path.name} was made with (its hash differs): "
            f"name the folder of the right one with --model.",
            ExitCode.NO_MODEL,
        )
    inpainting = None if sidecar.inpainting is None else _same_part(sidecar.inpainting, sidecar_path, sound)
    here = {**installed_versions(), **stages.versions}
    for library, version in sidecar.versions.items():
        if library in here and here[library] != version:
            _log.warning("The take was made with %s %s, here is %s: it may differ.", library, version, here[library])
    return as_request(sidecar, clip, output or sidecar_path.with_suffix(".wav"), inpainting)


def as_request(sidecar: Sidecar, clip: Path, output: Path, inpainting: Inpainting | None) -> Request:
    """What a sidecar says as a request, of its input, target and part where they lie now. Each sidecar that can be read
    gives one."""
    return Request(
        input=clip,
        output=output,
        start=sidecar.start,
        duration=sidecar.duration,
        only_take=sidecar.take,
        rate=sidecar.rate if inpainting is None else None,  # which is the take's own
        options=sidecar.options,
        sources=sidecar.sources,
        inpainting=inpainting,
        force=True,
    )


def _same_part(made: Inpainted, sidecar_path: Path, moved: Path | None) -> Inpainting:
    """What a sidecar says of a part, of the sound that it names. Raises UserError where that is another one."""
    sound = check_name(moved or Path(os.path.normpath(sidecar_path.parent / made.sound)))
    if not sound.is_file():
        raise UserError(f"There is no file {sound}: if the take was moved, name it with --inpaint.", ExitCode.NO_INPUT)
    if file_sha256(sound) != made.sound_sha256:
        raise UserError(
            f"{sound} is not the take that {sidecar_path.name} was made of (its hash differs): name the right one "
            f"with --inpaint.",
            ExitCode.NO_INPUT,
        )
    return Inpainting(sound=sound, start=made.start, duration=made.duration, gain_db=made.gain_db)
