"""`omniaudio generate`: generates spatial audio for one clip."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from omniaudio.commands.reporting import interruptible, print_event, reporting_errors, reporting_progress
from omniaudio.commands.validation import possible_options, validated
from omniaudio.errors import ExitCode, UserError
from omniaudio.generation import takes as generation
from omniaudio.generation.inpainting import Inpainting
from omniaudio.generation.request import Request, repeat
from omniaudio.model_zoo import registry
from omniaudio.recognition.sources import Sources
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions
from trt_engine.commands import by_service
from trt_engine.commands.which_service import ServiceUrl, TokenFile, connect
from trt_engine.runtime.open import open_pipeline

FREE_OPTIONS = ("model", "preview", "map")
"""Options that --reproduce takes too: they do not change the sound. A model's folder may have been moved."""


def generate(
    context: typer.Context,
    *,
    clip: Annotated[
        Path | None, typer.Argument(metavar="CLIP", help="A 360° video, still image or image sequence.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The WAV to write; default: CLIP.ambix.wav beside the clip.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="draft, omniaudio, or a model's folder; default: omniaudio if it is installed, else draft."),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="auto, or a name that `omniaudio backends` lists.")] = None,
    start: Annotated[
        float | None, typer.Option(help="Where to start in the clip, in seconds; default: 0, or as in the TAKE.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="How much of the clip to use, in seconds; default: all of the rest.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Each seed gives another result; default: 0.")] = None,
    steps: Annotated[int | None, typer.Option(help="Sampling steps; default: the model's.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Classifier-free guidance; 1 is none; default: the model's.")
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sources, as `inspect --sources` writes them; default: recognised."),
    ] = None,
    variation: Annotated[
        float | None,
        typer.Option(help="0: an exemplar itself; 1: free generation; default: the model's."),
    ] = None,
    order: Annotated[int | None, typer.Option(help="The ambisonic order, 1 to 3; default: 1.")] = None,
    stems: Annotated[
        bool | None, typer.Option("--stems", help="Also write each source alone, as OUT.stem-1-dog.wav and so on.")
    ] = None,
    takes: Annotated[
        int | None, typer.Option(help="The number of takes; the second is OUT.take2.wav, and so on.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="The sampling rate of the output in Hz; default: the model's.")
    ] = None,
    preview: Annotated[bool | None, typer.Option(help="Also write OUT.preview.wav, binaural; default: yes.")] = None,
    map: Annotated[bool | None, typer.Option(help="Also write OUT.map.png, the direction map; default: yes.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Accept a clip that does not look like 360°.")] = False,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Use the readable part of a truncated file.")
    ] = False,
    inpaint: Annotated[
        Path | None,
        typer.Option(metavar="TAKE", help="Regenerate a --range of this take of the clip; the rest stays as it is."),
    ] = None,
    time_range: Annotated[
        str | None,
        typer.Option("--range", metavar="START:END", help="The range of --inpaint in seconds of the take, as 3:6.5."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")] = False,
    sidecar: Annotated[
        Path | None,
        typer.Option("--reproduce", metavar="SIDECAR", help="Generate the take of a sidecar again, bit for bit."),
    ] = None,
    service: ServiceUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Generate spatial audio for a 360° clip: an AmbiX WAV, its sidecar, a binaural preview and a direction map."""
    values = {name: value for name, value in context.params.items() if value is not None}
    options = {field.name: values[field.name] for field in fields(GenerationOptions) if field.name in values}
    given: dict[str, Any] = {name: values[name] for name in ("start", "duration", "rate") if name in values}
    with reporting_errors(as_json, "no file was written"), interruptible():
        if sidecar is None:
            if clip is None:
                raise UserError("Name a 360° video or still image to generate sound for.", ExitCode.NO_INPUT)
            if inpaint is not None or time_range is not None:
                given |= _inpainting(inpaint, time_range, start)
            given |= {"input": clip, "output": output or clip.with_suffix(".ambix.wav")}
            given |= {"force": force, "allow_truncated": allow_truncated, "options": possible_options(**options)}
            if sources is not None:
                given["sources"] = Sources.read(sources)
            request = validated(Request, **given)
            if service is not None:
                client = connect(service, token_file)
                with reporting_progress(as_json) as report:
                    done = by_service.generate(client, request, report)
                _print_result(done.takes, done.model, done.backend, as_json)
                return
            pipeline = open_pipeline(registry.find_or_best(model), request.options.backend)
        else:
            if service is not None:
                raise UserError("--reproduce runs on this machine with the sidecar's options: leave out --service.")
            refused = [name for name in options if name not in FREE_OPTIONS]
            if refused := [*given, *refused, *(["sources"] if sources else [])]:
                named = ", ".join(f"--{name}" for name in refused)
                raise UserError(f"--reproduce takes its options from the sidecar: leave out {named}.")
            if time_range is not None:
                raise UserError("--reproduce takes the range from the sidecar: leave out --range.")
            kept = Sidecar.read(sidecar)
            if inpaint is not None and kept.inpainting is None:
                raise UserError(f"The take of {sidecar.name} was not inpainted: leave out --inpaint.")
            pipeline = open_pipeline(registry.find(model or str(kept.options.model)), kept.options.backend)
            request = repeat(sidecar, pipeline, clip, output, inpaint)
            request = request.model_copy(update={"options": replace(request.options, **options)})
        with reporting_progress(as_json) as report:
            made = generation.generate(request, pipeline, report)
        _print_result(made, pipeline.name, str(pipeline.backend), as_json)


def _inpainting(take: Path | None, time_range: str | None, start: float | None) -> dict[str, Any]:
    """Return the fields of a request that inpaints a take.

    The take's start in the clip comes from its sidecar, if there is one. Raises UserError."""
    if take is None or time_range is None:
        raise UserError("--inpaint TAKE.wav needs --range START:END, in seconds of the take: give both.")
    try:
        begin, end = map(float, time_range.split(":"))
        inpainting = Inpainting(sound=take, start=begin, duration=end - begin)
    except ValueError as error:  # includes pydantic's ValidationError
        raise UserError(
            f"--range cannot be {time_range}: give its start and end in seconds of the take, as 3:6.5.",
            ExitCode.BAD_RANGE,
        ) from error
    sidecar = take.with_suffix(".json")
    if start is None and sidecar.is_file():
        start = Sidecar.read(sidecar).start
    return {"inpainting": inpainting, "start": start or 0.0}


def _print_result(made: list[generation.Take], model: str, backend: str, as_json: bool) -> None:
    if as_json:
        print_event("done", model=model, backend=backend, takes=[take.model_dump(mode="json") for take in made])
        return
    for take in made:
        files = [file for file in (take.sound, take.preview, take.map, *take.stems, take.sidecar) if file is not None]
        peak = "silence" if take.true_peak_dbtp is None else f"true peak {take.true_peak_dbtp:.1f} dBTP"
        typer.echo(f"{take.samples / take.rate:.2f} s by {model} on {backend}, seed {take.seed}, {peak}")
        for file in files:
            typer.echo(f"  {file}")
