"""`omniaudio turn`: sound of a turning camera to the world's axes."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from omniaudio.output import check_output
from trt_engine.commands.events import print_event
from trt_engine.commands.requests import checked, running


def turn(
    sound: Annotated[Path, typer.Argument(metavar="FOA.wav", help="Four channels, as the camera heard it.")],
    orientations: Annotated[
        Path,
        typer.Argument(
            metavar="ORIENTATIONS.json",
            help="A list of {seconds, w, x, y, z}: the rotation from the camera to the world as a unit quaternion, in "
            "axes that are X front, Y left, Z up.",
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The WAV.")],
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="OUT.preview.wav, binaural.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")] = False,
) -> None:
    """Turn a camera's sound, so that it stays where it was in the world."""
    from omniaudio.audio import rotation  # noqa: PLC0415 - other commands start without it

    with running(as_json) as report:
        check_output(output.with_suffix(".json"), ".json", orientations)  # the sidecar, which would replace them
        path = rotation.read_orientations(orientations)
        request = checked(rotation.Turn, sound=sound, output=output, orientations=path, preview=preview)
        made = rotation.turn(request, report)
    if as_json:
        print_event("done", **made.model_dump(mode="json"), converted_from=converted_from(sound))
        return
    lowered = f", lowered by {-made.gain_db:.1f} dB" if made.gain_db < 0 else ""
    typer.echo(f"{made.samples / made.rate:.2f} s{lowered}")
    for file in (made.sound, made.preview, made.sidecar):
        if file is not None:
            typer.echo(f"  {file}")
