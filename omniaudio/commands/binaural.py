"""`omniaudio binaural`: renders ambisonics for headphones."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from omniaudio.commands.reporting import print_event, running
from omniaudio.commands.validation import validated


def binaural(
    sound: Annotated[
        Path,
        typer.Argument(metavar="FOA.wav", help="Four channels; AmbiX unless the file declares another convention."),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The stereo WAV to write.")],
    yaw: Annotated[float, typer.Option(help="Orientation of the head in degrees; positive turns it left.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Positive raises the nose.")] = 0.0,
    roll: Annotated[float, typer.Option(help="Positive raises the left ear.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")] = False,
) -> None:
    """Render an ambisonic file for headphones, with any orientation of the head."""
    from omniaudio.audio.binaural import BinauralRequest, write_binaural  # noqa: PLC0415 - keeps other commands fast

    with running(as_json) as report:
        request = validated(BinauralRequest, sound=sound, output=output, yaw=yaw, pitch=pitch, roll=roll)
        made = write_binaural(request, report)
    if as_json:
        print_event("done", path=str(made), converted_from=converted_from(sound))
    else:
        typer.echo(f"{made}")
