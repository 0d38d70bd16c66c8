"""`omniaudio inspect`: describes a panorama or an ambisonic file, and finds the sources in a panorama."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from omniaudio.output import check_output


def inspect(
    file: Annotated[Path, typer.Argument(help="A 360° video, still image or image sequence, or a 4-channel sound.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="FILE",
            help="Recognise the sound sources in a panorama, print them, and write them to this .json file.",
        ),
    ] = None,
) -> None:
    """Describe a 360° video or an ambisonic file: format, convention, level, and direction over time."""
    if sources is not None:
        _find_sources(file, sources, as_json)
        return
    from omniaudio.analysis.inspect import as_text, describe  # noqa: PLC0415 - keeps other commands fast

    report = describe(file)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        Console().print(as_text(report))


def _find_sources(clip: Path, target: Path, as_json: bool) -> None:
    from omniaudio.recognition.networks import OnnxNetworks  # noqa: PLC0415 - keeps other commands fast
    from omniaudio.recognition.recognise import recognise  # noqa: PLC0415
    from omniaudio.recognition.sources import as_text  # noqa: PLC0415
    from omniaudio.video.clip import Clip  # noqa: PLC0415

    check_output(target, ".json", clip)
    found = recognise(Clip(clip), OnnxNetworks())
    found.write(target)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        Console().print(as_text(found))
