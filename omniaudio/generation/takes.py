"""A request carried out: from a clip to the files of every take."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from omniaudio.analysis.direction_map import SoundMap
from omniaudio.audio.loudness import decibels
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256, relative, replacing, together
from omniaudio.generation.by_source import SourceTakes
from omniaudio.generation.inpainting import Crop, Inpainting, crop, open_part, without_context
from omniaudio.generation.joint import JointTakes
from omniaudio.generation.pipeline import Settings, Stages
from omniaudio.generation.placing import channels
from omniaudio.generation.sidecar import Inpainted, Options, Sidecar
from omniaudio.generation.stems import kinds_of
from omniaudio.generation.take_files import derived_from, named_paths, write_sound, write_stems
from omniaudio.generation.take_sound import Wanted
from omniaudio.limits import MOST_TAKES, Guidance, Order, OutputRate, Seed, Steps, Takes, Variation
from omniaudio.output import check_output
from omniaudio.paths import InputPath, OutputPath, check_name
from omniaudio.progress import Report
from omniaudio.recognition.networks import Networks, OnnxNetworks
from omniaudio.recognition.recognise import MOST_SOURCES
from omniaudio.recognition.sources import Sources
from omniaudio.versions import installed_versions
from omniaudio.video.clip import Clip, clip_sha256
from omniaudio.video.sphere import check_sphere
from omniaudio.video.stills import is_sequence
from omniaudio.video.time_range import wanted_range

Float32 = NDArray[np.float32]

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
    seed: Seed = 0
    takes: Takes = 1
    only_take: int | None = Field(
        default=None, ge=1, le=MOST_TAKES, description="deliver this one alone, from 1, as `output`"
    )
    steps: Steps | None = None
    guidance: Guidance | None = None
    rate: OutputRate | None = None
    preview: bool = True
    map: bool = True
    sources: Sources | None = Field(default=None, description="what sounds; recognised where it is not given")
    variation: Variation | None = None
    order: Order = 1
    stems: bool = Field(default=False, description="each source's own sound as well, placed as in the whole")
    inpainting: Inpainting | None = Field(
        default=None, description="make this part anew of a take of `start` and `duration`"
    )
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")

    @model_validator(mode="after")
    def _has_the_take(self) -> Self:
        if self.only_take is not None and self.only_take > self.takes:
            raise ValueError(f"only_take is one of the {self.takes} takes, not {self.only_take}")
        if self.inpainting is not None and (self.stems or self.order != 1):
            raise ValueError("inpainting has no stems, and the order of its take, which is 1")
        return self


class Take(BaseModel):
    """The files of a take that was delivered, and its measures."""

    sound: Path
    sidecar: Path
    preview: Path | None
    map: Path | None
    stems: tuple[Path, ...] = ()
    seed: int
    take: int
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None


def generate(
    request: Request,
    stages: Stages,
    report: Callable[[Report], None],
    networks: Callable[[], Networks] = OnnxNetworks,
) -> list[Take]:
    """Make the sound of a clip and deliver it.

    Args:
        request: what is wanted.
        stages: the model, ready to run.
        report: told of every step; what it raises ends the work, and nothing half-written stays.
        networks: what sources are recognised with, where the model needs them and the request names none.

    Raises:
        UserError: the clip cannot be read, is no panorama or lacks the range; the target cannot be written; the model
            cannot do what is asked for.
    """
    wanted = _wanted(request, stages)
    chosen = wanted.chosen
    options = Options(
        backend=str(stages.backend),
        steps=chosen.steps,
        guidance=chosen.guidance,
        start=wanted.start,
        duration=wanted.seconds,
        rate=wanted.rate,
        takes=chosen.takes,
        variation=chosen.variation,
        order=wanted.order,
    )
    input_sha256 = wanted.clip.sha256
    sound_sha256 = "" if request.inpainting is None else file_sha256(request.inpainting.sound)
    making: JointTakes | SourceTakes
    if kinds_of(stages.config):
        making = SourceTakes(stages, wanted, report, networks)
    else:
        making = JointTakes(stages, wanted, report)
    try:
        background = wanted.clip.frame_at(wanted.start + wanted.seconds / 2) if request.map else None
        takes = []
        for number, path in paths(request):
            with together(path.parent) as folder, making.take(number, folder) as made:
                sound, drawn = folder / path.name, SoundMap(wanted.rate)
                writer = write_sound(
                    made.blocks, sound, wanted, drawn if request.map else None, preview=request.preview
                )
                gain_db = writer.gain_db if made.gain is None else decibels(made.gain) or 0.0
                stems = write_stems(made, path, folder, wanted, writer.gain_db) if request.stems else ()
                if background is not None:
                    named = named_paths(making.sources, wanted)
                    with replacing(sound.with_suffix(".map.png")) as partial:
                        drawn.draw(background, named).save(partial, format="PNG", compress_level=2)
                derives_from = derived_from(made.derives_from)
                Sidecar(
                    model=stages.name,
                    model_sha256=stages.identity,
                    seed=chosen.seed,
                    take=number,
                    options=options,
                    input=relative(request.input, path.parent),
                    input_sha256=input_sha256,
                    inpainting=_inpainted(request.inpainting, wanted.cut, path.parent, sound_sha256),
                    gain_db=gain_db,
                    true_peak_dbtp=writer.true_peak_dbtp,
                    sources=making.sources,
                    derives_from=derives_from,
                    credit="; ".join(one.credit for one in derives_from) or None,
                    versions={**installed_versions(), **stages.versions},
                ).write(sound.with_suffix(".json"))
            takes.append(
                Take(
                    sound=path,
                    sidecar=path.with_suffix(".json"),
                    preview=path.with_suffix(".preview.wav") if request.preview else None,
                    map=path.with_suffix(".map.png") if request.map else None,
                    stems=stems,
                    seed=chosen.seed,
                    take=number,
                    rate=wanted.rate,
                    samples=wanted.samples,
                    gain_db=gain_db,
                    true_peak_dbtp=writer.true_peak_dbtp,
                )
            )
        return takes
    finally:
        making.close()


def _wanted(request: Request, stages: Stages) -> Wanted:
    """A request with what it leaves to the model and the clip. Raises UserError where it cannot be carried out."""
    by_source = bool(kinds_of(stages.config))
    if not by_source and (request.sources is not None or request.stems or request.order != 1):
        raise UserError(
            f"The model {stages.name} makes the sound of all sources at once, in first order: leave out sources, stems "
            f"and order, or choose the model draft.",
            ExitCode.BAD_RANGE,
        )
    part = None if request.inpainting is None else open_part(request.inpainting)
    rate = part.sound.rate if part is not None else request.rate or stages.config.sample_rate
    clip, start, seconds = check(request, rate)
    cut = None
    if part is not None:
        cut = without_context(part) if by_source else crop(part, stages.config)
    return Wanted(
        clip=clip,
        start=start,
        seconds=seconds,
        rate=rate,
        chosen=_settings(request, stages),
        order=request.order,
        sources=request.sources or (None if request.inpainting is None else _sources_of(request.inpainting.sound)),
        cut=cut,
    )


def _sources_of(sound: Path) -> Sources | None:
    """What sounds in a take, as the sidecar beside it says."""
    sidecar = Sidecar.beside(sound)
    return None if sidecar is None else sidecar.sources


def _inpainted(inpainting: Inpainting | None, cut: Crop | None, folder: Path, sha256: str) -> Inpainted | None:
    """For a sidecar in a folder."""
    if inpainting is None or cut is None:
        return None
    return Inpainted(
        sound=relative(inpainting.sound, folder),
        sound_sha256=sha256,
        start=inpainting.start,
        duration=inpainting.duration,
        gain_db=cut.part.gain_db,
    )


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
    options = sidecar.options
    return Request(
        input=clip,
        output=output,
        start=options.start,
        duration=options.duration,
        seed=sidecar.seed,
        takes=options.takes,
        only_take=sidecar.take,
        steps=options.steps,
        guidance=options.guidance,
        rate=options.rate if inpainting is None else None,  # which is the take's own
        sources=sidecar.sources,
        variation=options.variation,
        order=options.order,
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
    start, seconds = wanted_range(clip.info, request.start, duration, request.allow_truncated)
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
    needed, free = samples * _bytes_per_sample(request) * request.takes, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has room for {free / 1e6:.0f} MB and {needed / 1e6:.0f} MB are needed: make room there.",
            ExitCode.NOT_WRITABLE,
        )


def _bytes_per_sample(request: Request) -> int:
    """What a sample of a take needs on the disk at most: master and preview as 24 bit, both waiting as float32; and the
    stems, which wait as float32 of one channel, and may be written."""
    written = channels(request.order) + 2
    stems = MOST_SOURCES + 1
    return written * (3 + 4) + stems * 4 + (stems * channels(request.order) * 3 if request.stems else 0)


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


def _settings(request: Request, stages: Stages) -> Settings:
    own = stages.config.omniaudio
    return Settings(
        seed=request.seed,
        takes=request.takes,
        steps=own.steps if request.steps is None else request.steps,
        guidance=own.guidance if request.guidance is None else request.guidance,
        variation=request.variation,
    )


def paths(request: Request) -> Iterator[tuple[int, Path]]:
    """Every take that is wanted, by its number from 1, and its sound's path: OUT.wav, OUT.take2.wav, …"""
    output = request.output
    if request.only_take is not None:
        yield request.only_take, output
        return
    for number in range(1, request.takes + 1):
        yield number, output if number == 1 else output.with_name(f"{output.stem}.take{number}{output.suffix}")
