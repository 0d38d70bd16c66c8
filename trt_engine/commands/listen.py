"""`omniaudio listen`: ambisonics for headphones."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from trt_engine.commands.events import print_event
from trt_engine.commands.requests import checked, running


def listen(
    sound: Annotated[Path, typer.Argument(metavar="FOA.wav", help="Four channels, AmbiX unless it declares another.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The WAV, two channels.")],
    yaw: Annotated[float, typer.Option(help="The head's, in degrees: positive is to the left.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Positive is up.")] = 0.0,
    roll: Annotated[float, typer.Option(help="Positive lifts the left ear.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")] = False,
) -> None:
    """Make a binaural preview of an ambisonic sound, for any turn of the head."""
    from omniaudio.audio import binaural  # noqa: PLC0415 - other commands start without it

    with running(as_json) as report:
        request = checked(binaural.Listen, sound=sound, output=output, yaw=yaw, pitch=pitch, roll=roll)
        made = binaural.listen(request, report)
    if as_json:
        print_event("done", path=str(made), converted_from=converted_from(sound))
    else:
        typer.echo(f"{made}")
