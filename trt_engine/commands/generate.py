"""`omniaudio generate`: the sound of one clip."""

from pathlib import Path
from typing import Annotated, Any

import typer

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation import takes
from omniaudio.generation.inpainting import Again
from omniaudio.generation.sidecar import Sidecar
from omniaudio.model_zoo import registry
from omniaudio.recognition.sources import Sources
from trt_engine.commands import by_engine
from trt_engine.commands.engine import Engine, TokenFile, connect
from trt_engine.commands.events import interruptible, print_event, reporting, told
from trt_engine.commands.requests import checked
from trt_engine.runtime.backends import AUTO
from trt_engine.runtime.open import open_pipeline


def generate(
    *,
    clip: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="A 360° video, picture or image sequence.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The WAV; else INPUT's name with .ambix.wav, beside it.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="draft, omniaudio, or a model's folder; else omniaudio where it is, or draft.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="auto, or a name that `omniaudio backends` lists.")] = None,
    start: Annotated[float | None, typer.Option(help="Seconds into the clip; else 0, or as TAKE was made.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds; else to the clip's end.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed is another sound; else 0.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of the sampler, from noise; else the model's own.")] = None,
    guidance: Annotated[float | None, typer.Option(help="By the picture, 1 is none; else the model's own.")] = None,
    sources: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What sounds, as `info --sources` writes it; else it is recognised."),
    ] = None,
    variation: Annotated[
        float | None, typer.Option(help="0 is an exemplar itself, 1 is free generation; else the model's own.")
    ] = None,
    order: Annotated[int | None, typer.Option(help="Of the ambisonics, 1 to 3; else 1.")] = None,
    stems: Annotated[bool, typer.Option("--stems", help="OUT.stem-1-dog.wav and so on: each source alone.")] = False,
    take_count: Annotated[
        int | None, typer.Option("--takes", help="That many; the second is OUT.take2.wav, and so on.")
    ] = None,
    rate: Annotated[int | None, typer.Option(help="Sampling rate in Hz; else the model's own.")] = None,
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="OUT.preview.wav, binaural.")] = True,
    drawn: Annotated[bool, typer.Option("--map/--no-map", help="OUT.map.png, where the sound comes from.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Also of a picture that does not look like 360°.")] = False,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Of a file that was cut off, take what can be read.")
    ] = False,
    again: Annotated[
        Path | None, typer.Option(metavar="TAKE", help="Make a --part of this take of INPUT anew; the rest stays.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(metavar="START:END", help="Of the take, in seconds, as 3:6.5; with --again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")] = False,
    sidecar: Annotated[Path | None, typer.Option("--from", help="Make this sidecar's take again, to the bit.")] = None,
    engine: Engine = None,
    token_file: TokenFile = None,
) -> None:
    """Make the sound of a 360° clip: an AmbiX WAV, its sidecar, a binaural preview and a map."""
    wishes: dict[str, Any] = {
        "start": start,
        "duration": duration,
        "seed": seed,
        "steps": steps,
        "guidance": guidance,
        "takes": take_count,
        "rate": rate,
        "variation": variation,
        "order": order,
    }
    given = {name: value for name, value in wishes.items() if value is not None}
    with told(as_json, "nothing was written"), interruptible():
        if sidecar is None:
            if clip is None:
                raise UserError("Name a 360° video or picture to make the sound of.", ExitCode.NO_INPUT)
            if again is not None or part is not None:
                given |= _part_of(again, part, start)
            given |= {"input": clip, "output": output or clip.with_suffix(".ambix.wav")}
            given |= {"force": force, "allow_truncated": allow_truncated, "stems": stems}
            if sources is not None:
                given["sources"] = Sources.read(sources)
            request = checked(takes.Request, **given, preview=preview, map=drawn)
            if engine is not None:
                client = connect(engine, token_file)
                with reporting(as_json) as report:
                    done = by_engine.generate(client, request, model, backend or AUTO, report)
                _say_done(done.takes, done.model, done.backend, as_json)
                return
            pipeline = open_pipeline(registry.find_or_best(model), backend or AUTO)
        else:
            if engine is not None:
                raise UserError("--from makes a take again on this machine, as its sidecar says: leave out --engine.")
            given |= {
                name: value
                for name, value in (("backend", backend), ("sources", sources), ("stems", stems or None))
                if value is not None
            }
            if given:
                named = ", ".join(f"--{name}" for name in given)
                raise UserError(f"--from makes a take again as it was: leave out {named}.")
            if part is not None:
                raise UserError("--from makes the part again that it was: leave out --part.")
            kept = Sidecar.read(sidecar)
            if again is not None and kept.again is None:
                raise UserError(f"{sidecar.name} is of a take that was made as a whole: leave out --again.")
            pipeline = open_pipeline(registry.find(model or kept.model), kept.options.backend)
            request = takes.repeat(sidecar, pipeline, clip, output, again)
            request = request.model_copy(update={"preview": preview, "map": drawn})
        with reporting(as_json) as report:
            made = takes.generate(request, pipeline, report)
        _say_done(made, pipeline.name, str(pipeline.backend), as_json)


def _part_of(take: Path | None, part: str | None, start: float | None) -> dict[str, Any]:
    """What a request says of a part that the command line names, and where in the clip the take begins, as its sidecar
    says where one lies beside it. Raises UserError."""
    if take is None or part is None:
        raise UserError("--again TAKE.wav goes with --part START:END, in seconds of the take: give both.")
    try:
        begin, end = map(float, part.split(":"))
        again = Again(sound=take, start=begin, duration=end - begin)
    except ValueError as error:  # pydantic's too
        raise UserError(
            f"--part cannot be {part}: give its start and its end in seconds of the take, as 3:6.5.",
            ExitCode.BAD_RANGE,
        ) from error
    sidecar = take.with_suffix(".json")
    if start is None and sidecar.is_file():
        start = Sidecar.read(sidecar).options.start
    return {"again": again, "start": start or 0.0}


def _say_done(made: list[takes.Take], model: str, backend: str, as_json: bool) -> None:
    if as_json:
        print_event("done", model=model, backend=backend, takes=[take.model_dump(mode="json") for take in made])
        return
    for take in made:
        files = [file for file in (take.sound, take.preview, take.map, *take.stems, take.sidecar) if file is not None]
        peak = "silence" if take.true_peak_dbtp is None else f"true peak {take.true_peak_dbtp:.1f} dBTP"
        typer.echo(f"{take.samples / take.rate:.2f} s by {model} on {backend}, seed {take.seed}, {peak}")
        for file in files:
            typer.echo(f"  {file}")
