"""A request carried out: from a clip to the files of every take."""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from omniaudio import video
from omniaudio.again import Again, Crop, crop, known_latents, open_part, splice
from omniaudio.delivery import (
    AmbixWriter,
    MadeAgain,
    Options,
    Sidecar,
    decibels,
    file_sha256,
    installed_versions,
    replacing,
)
from omniaudio.errors import ExitCode, UserError
from omniaudio.generator import Generation, Settings, Stages
from omniaudio.limits import MOST_TAKES, Guidance, OutputRate, Seed, Steps, Takes
from omniaudio.listening import BinauralRenderer
from omniaudio.output import check_output
from omniaudio.overlap import use_beside
from omniaudio.paths import InputPath, OutputPath, check_name, check_readable
from omniaudio.progress import Report
from omniaudio.soundmap import SoundMap
from omniaudio.sphere import check_sphere
from omniaudio.stills import is_sequence, sequence_files

Float32 = NDArray[np.float32]

BYTES_PER_SAMPLE = 4 * (3 + 4) + 2 * (3 + 4)
"""What a sample of a take needs on the disk at most: master and preview as 24 bit, both waiting as float32."""

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
    again: Again | None = Field(default=None, description="make this part anew of a take of `start` and `duration`")
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")

    @model_validator(mode="after")
    def _has_the_take(self) -> Self:
        if self.only_take is not None and self.only_take > self.takes:
            raise ValueError(f"only_take is one of the {self.takes} takes, not {self.only_take}")
        return self


class Take(BaseModel):
    """The files of a take that was delivered, and its measures."""

    sound: Path
    sidecar: Path
    preview: Path | None
    map: Path | None
    seed: int
    take: int
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None


def generate(request: Request, stages: Stages, report: Callable[[Report], None]) -> list[Take]:
    """Make the sound of a clip and deliver it.

    Args:
        request: what is wanted.
        stages: the model, ready to run.
        report: told of every step; what it raises ends the work, and nothing half-written stays.

    Raises:
        UserError: the clip cannot be read, is no panorama or lacks the range; the target cannot be written.
    """
    cut = None if request.again is None else crop(open_part(request.again), stages.config)
    rate = cut.part.sound.rate if cut is not None else request.rate or stages.config.sample_rate
    start, seconds = check(request, rate)
    samples = cut.part.sound.samples if cut is not None else round(seconds * rate)
    chosen = _settings(request, stages)
    options = Options(
        backend=str(stages.backend),
        steps=chosen.steps,
        guidance=chosen.guidance,
        start=start,
        duration=seconds,
        rate=rate,
        takes=chosen.takes,
    )
    input_sha256 = clip_sha256(request.input)
    sound_sha256 = "" if request.again is None else file_sha256(request.again.sound)
    skipped, made_seconds = (0.0, seconds) if cut is None else (cut.start, cut.seconds)
    generation = Generation(stages, made_seconds, chosen, report)
    try:
        frame_rate, shown = stages.config.omniaudio.frame_rate, min(made_seconds, seconds - skipped)
        pictures = video.frames(request.input, frame_rate, start + skipped, shown)
        generation.look(frame.image for frame in pictures)
        latents = generation.sample(None if cut is None else known_latents(cut, stages.encode, stages.config))
        background = video.frame_at(request.input, start + seconds / 2) if request.map else None
        takes = []
        for number, path in paths(request):
            with (
                together(path.parent) as folder,
                _sound(generation, latents[number - 1], options, cut, folder) as (gain, blocks),
            ):
                sound, drawn = folder / path.name, SoundMap(rate)
                writer = _write(blocks, sound, rate, drawn, request)
                gain_db = writer.gain_db if gain is None else decibels(gain) or 0.0
                if background is not None:
                    with replacing(sound.with_suffix(".map.png")) as partial:
                        drawn.draw(background).save(partial, format="PNG")
                Sidecar(
                    model=stages.name,
                    model_sha256=stages.identity,
                    seed=chosen.seed,
                    take=number,
                    options=options,
                    input=relative(request.input, path.parent),
                    input_sha256=input_sha256,
                    again=_made_again(request.again, cut, path.parent, sound_sha256),
                    gain_db=gain_db,
                    true_peak_dbtp=writer.true_peak_dbtp,
                ).write(sound.with_suffix(".json"))
            takes.append(
                Take(
                    sound=path,
                    sidecar=path.with_suffix(".json"),
                    preview=path.with_suffix(".preview.wav") if request.preview else None,
                    map=path.with_suffix(".map.png") if request.map else None,
                    seed=chosen.seed,
                    take=number,
                    rate=rate,
                    samples=samples,
                    gain_db=gain_db,
                    true_peak_dbtp=writer.true_peak_dbtp,
                )
            )
        return takes
    finally:
        generation.close()


@contextmanager
def _sound(
    generation: Generation, latents: Float32, options: Options, cut: Crop | None, folder: Path
) -> Iterator[tuple[float | None, Iterator[Float32]]]:
    """A take's sound in blocks; before it the gain of the part that is made again, or None where it is the whole."""
    if cut is None:
        yield None, generation.sound(latents, options.rate, round(options.duration * options.rate))
        return
    with splice(cut, generation.sound(latents, options.rate, cut.part.end - cut.first), folder) as spliced:
        yield spliced


def _made_again(again: Again | None, cut: Crop | None, folder: Path, sha256: str) -> MadeAgain | None:
    """For a sidecar in a folder."""
    if again is None or cut is None:
        return None
    return MadeAgain(
        sound=relative(again.sound, folder),
        sound_sha256=sha256,
        start=again.start,
        duration=again.duration,
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
    again = None if sidecar.again is None else _same_part(sidecar.again, sidecar_path, sound)
    here = installed_versions()
    for library, version in sidecar.versions.items():
        if library in here and here[library] != version:
            _log.warning("The take was made with %s %s, here is %s: it may differ.", library, version, here[library])
    return as_request(sidecar, clip, output or sidecar_path.with_suffix(".wav"), again)


def as_request(sidecar: Sidecar, clip: Path, output: Path, again: Again | None) -> Request:
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
        rate=options.rate if again is None else None,  # which is the take's own
        again=again,
        force=True,
    )


def _same_part(made: MadeAgain, sidecar_path: Path, moved: Path | None) -> Again:
    """What a sidecar says of a part, of the sound that it names. Raises UserError where that is another one."""
    sound = check_name(moved or Path(os.path.normpath(sidecar_path.parent / made.sound)))
    if not sound.is_file():
        raise UserError(f"There is no file {sound}: name the take with --again, if it was moved.", ExitCode.NO_INPUT)
    if file_sha256(sound) != made.sound_sha256:
        raise UserError(
            f"{sound} is not the take that {sidecar_path.name} was made of (its hash differs): name the right one with "
            f"--again.",
            ExitCode.NO_INPUT,
        )
    return Again(sound=sound, start=made.start, duration=made.duration, gain_db=made.gain_db)


def check(request: Request, rate: int) -> tuple[float, float]:
    """Whether a request can be carried out, before minutes are spent on it.

    Args:
        request: what is wanted.
        rate: of the sound, in Hz.

    Returns:
        The start and the length of the clip's part, in seconds.

    Raises:
        UserError: the clip cannot be read, is no panorama or lacks the range; the target cannot be written.
    """
    info = video.probe(request.input)
    duration = request.duration if request.again is None else _length_of_take(request, request.again)
    start, seconds = video.wanted_range(info, request.start, duration, request.allow_truncated)
    samples = round(seconds * rate)
    if samples < 1:
        raise UserError(f"{seconds:g} s is less than one sample: ask for a longer --duration.", ExitCode.BAD_RANGE)
    check_target(request, samples)
    if not request.force:
        check_sphere(info, start, seconds)
    return start, seconds


def check_target(request: Request, samples: int) -> None:
    """Whether the files of a request can be written.

    Raises:
        UserError: no such folder, not writable, full, not a `.wav`, or the input itself.
    """
    folder = request.output.parent
    read = [request.input] if request.again is None else [request.input, request.again.sound]
    for _, path in paths(request):
        check_output(path, ".wav", *read)
    needed, free = samples * BYTES_PER_SAMPLE * request.takes, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has room for {free / 1e6:.0f} MB and {needed / 1e6:.0f} MB are needed: make room there.",
            ExitCode.NOT_WRITABLE,
        )


def _length_of_take(request: Request, again: Again) -> float:
    """Seconds of the take of which a part is made again. Raises UserError where the request wants another sound."""
    sound = open_part(again).sound
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


def clip_sha256(path: Path) -> str:
    """The SHA-256 of a clip's file, or of the hashes of a sequence's pictures with their places."""
    if not is_sequence(path):
        check_readable(path, "a 360° video or picture")
        return file_sha256(path)
    lines = (f"{place} {file_sha256(file)}\n" for place, file in sequence_files(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _settings(request: Request, stages: Stages) -> Settings:
    own = stages.config.omniaudio
    return Settings(
        seed=request.seed,
        takes=request.takes,
        steps=own.steps if request.steps is None else request.steps,
        guidance=own.guidance if request.guidance is None else request.guidance,
    )


def paths(request: Request) -> Iterator[tuple[int, Path]]:
    """Every take that is wanted, by its number from 1, and its sound's path: OUT.wav, OUT.take2.wav, …"""
    output = request.output
    if request.only_take is not None:
        yield request.only_take, output
        return
    for number in range(1, request.takes + 1):
        yield number, output if number == 1 else output.with_name(f"{output.stem}.take{number}{output.suffix}")


def _write(blocks: Iterator[Float32], path: Path, rate: int, drawn: SoundMap, request: Request) -> AmbixWriter:
    """Master and preview, in one pass over the sound."""
    renderer = BinauralRenderer(rate)
    with AmbixWriter(path, rate, guarded=request.again is None) as master:

        def deliver(block: Float32) -> None:
            master.write(block)
            if request.map:
                drawn.add(block)

        if not request.preview:
            use_beside(blocks, deliver)
            return master
        with AmbixWriter(path.with_suffix(".preview.wav"), rate, channels=2) as preview:

            def deliver_both(block: Float32) -> None:
                deliver(block)
                preview.write(renderer.process(block))

            use_beside(blocks, deliver_both)
            preview.write(renderer.finish())
    return master


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """A hidden folder inside `folder`: what lies in it at the end goes to `folder`, or on failure nothing."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".omniaudio-") as name:
            hidden = Path(name)
            try:
                yield hidden
            except UserError as error:
                raise UserError(error.sentence.replace(name, str(folder)), error.code) from error
            # The sidecar goes last: where it lies, the take is whole.
            for file in sorted(hidden.iterdir(), key=lambda path: path.suffix == ".json"):
                os.replace(file, folder / file.name)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror}): choose another place, or make room there.",
            ExitCode.NOT_WRITABLE,
        ) from error


def relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder, so that both can be moved together; the whole path from another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
