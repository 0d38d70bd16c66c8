"""Carries out a request: from a clip to the files of every take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from omniaudio.analysis.direction_map import DirectionMap
from omniaudio.audio.loudness import decibels
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256, relative, replacing, together
from omniaudio.generation.by_source import SourceTakes
from omniaudio.generation.inpainting import Crop, Inpainting, crop, open_part, without_context
from omniaudio.generation.joint import JointTakes
from omniaudio.generation.pipeline import Settings, Stages
from omniaudio.generation.request import Request, check, paths
from omniaudio.generation.stems import kinds_of
from omniaudio.generation.take_files import derived_from, named_paths, write_sound, write_stems
from omniaudio.generation.take_sound import Wanted
from omniaudio.progress import Report
from omniaudio.recognition.networks import Networks, OnnxNetworks
from omniaudio.recognition.sources import Sources
from omniaudio.sidecar import Inpainted, Sidecar
from omniaudio.versions import installed_versions
from omniaudio.video.clip import Clip
from omniaudio_client.options import GenerationOptions


class Take(BaseModel):
    """The files of a finished take, and what was measured of it."""

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
    clip: Clip | None = None,
) -> list[Take]:
    """Generates the sound of a clip and writes its files.

    Args:
        request: the request.
        stages: the model, ready to run.
        report: called after each step; an exception cancels the generation, and no partial file stays.
        networks: for recognising the sources, if the model needs them and the request has none.
        clip: the input, if it is open already.

    Raises:
        UserError: the clip cannot be read, is not a panorama or lacks the range; the target cannot be written; the
            model does not support the request.
    """
    wanted = _wanted(request, stages, clip)
    chosen = wanted.chosen
    input_sha256 = wanted.clip.sha256
    sound_sha256 = "" if request.inpainting is None else file_sha256(request.inpainting.sound)
    making: JointTakes | SourceTakes
    if kinds_of(stages.config):
        making = SourceTakes(stages, wanted, report, networks)
    else:
        making = JointTakes(stages, wanted, report)
    try:
        background = wanted.clip.frame_at(wanted.start + wanted.seconds / 2) if chosen.map else None
        takes = []
        for number, path in paths(request):
            with together(path.parent) as folder, making.take(number, folder) as made:
                sound, drawn = folder / path.name, DirectionMap(wanted.rate)
                writer = write_sound(made.blocks, sound, wanted, drawn if chosen.map else None, preview=chosen.preview)
                gain_db = writer.gain_db if made.gain is None else decibels(made.gain) or 0.0
                stems = write_stems(made, path, folder, wanted, writer.gain_db) if chosen.stems else ()
                if background is not None:
                    named = named_paths(making.sources, wanted)
                    with replacing(sound.with_suffix(".map.png")) as partial:
                        drawn.draw(background, named).save(partial, format="PNG", compress_level=2)
                derives_from = derived_from(made.derives_from)
                Sidecar(
                    options=GenerationOptions(**chosen.given()),
                    model_sha256=stages.identity,
                    take=number,
                    input=relative(request.input, path.parent),
                    input_sha256=input_sha256,
                    start=wanted.start,
                    duration=wanted.seconds,
                    rate=wanted.rate,
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
                    preview=path.with_suffix(".preview.wav") if chosen.preview else None,
                    map=path.with_suffix(".map.png") if chosen.map else None,
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


def _wanted(request: Request, stages: Stages, clip: Clip | None) -> Wanted:
    """A request with its defaults filled in. Raises UserError if it cannot be carried out."""
    by_source = bool(kinds_of(stages.config))
    if not by_source and (request.sources is not None or request.options.stems or request.options.order != 1):
        raise UserError(
            f"The model {stages.name} makes the sound of all sources at once, in first order: leave out sources, stems "
            f"and order, or choose the model draft.",
            ExitCode.BAD_RANGE,
        )
    part = None if request.inpainting is None else open_part(request.inpainting)
    rate = part.sound.rate if part is not None else request.rate or stages.config.sample_rate
    clip, start, seconds = check(request, rate, clip)
    cut = None
    if part is not None:
        cut = without_context(part) if by_source else crop(part, stages.config)
    return Wanted(
        clip=clip,
        start=start,
        seconds=seconds,
        rate=rate,
        chosen=_settings(request, stages),
        sources=request.sources or (None if request.inpainting is None else _sources_of(request.inpainting.sound)),
        cut=cut,
    )


def _sources_of(sound: Path) -> Sources | None:
    """The sources of a take, from its sidecar."""
    sidecar = Sidecar.beside(sound)
    return None if sidecar is None else sidecar.sources


def _inpainted(inpainting: Inpainting | None, cut: Crop | None, folder: Path, sha256: str) -> Inpainted | None:
    """The inpainting as a sidecar in `folder` describes it."""
    if inpainting is None or cut is None:
        return None
    return Inpainted(
        sound=relative(inpainting.sound, folder),
        sound_sha256=sha256,
        start=inpainting.start,
        duration=inpainting.duration,
        gain_db=cut.part.gain_db,
    )


def _settings(request: Request, stages: Stages) -> Settings:
    """The options of a request with the model's defaults, name and back-end filled in."""
    own = stages.config.omniaudio
    left: dict[str, Any] = {"steps": own.steps, "guidance": own.guidance}
    return Settings(**left | request.options.given() | {"model": stages.name, "backend": str(stages.backend)})
