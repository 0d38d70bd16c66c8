"""`omniaudio rotate`: rotates head-locked sound to world-locked."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from omniaudio.commands.reporting import print_event, running
from omniaudio.commands.validation import validated
from omniaudio.output import check_output


def rotate(
    sound: Annotated[Path, typer.Argument(metavar="FOA.wav", help="Four channels, in the camera's axes.")],
    orientations: Annotated[
        Path,
        typer.Argument(
            metavar="ORIENTATIONS.json",
            help="A list of {seconds, w, x, y, z}: the rotation from camera to world axes as a unit quaternion; X is "
            "front, Y left, Z up.",
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The WAV to write.")],
    preview: Annotated[
        bool, typer.Option("--preview/--no-preview", help="Also write OUT.preview.wav, binaural.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")] = False,
) -> None:
    """Rotate the sound of a moving camera, so that its sources stay in place in the world."""
    from omniaudio.audio import rotation  # noqa: PLC0415 - keeps other commands fast

    with running(as_json) as report:
        check_output(output.with_suffix(".json"), ".json", orientations)  # the sidecar must not replace its input
        path = rotation.read_orientations(orientations)
        request = validated(rotation.RotationRequest, sound=sound, output=output, orientations=path, preview=preview)
        made = rotation.rotate_to_world(request, report)
    if as_json:
        print_event("done", **made.model_dump(mode="json"), converted_from=converted_from(sound))
        return
    reduction = f", gain reduction {-made.gain_db:.1f} dB" if made.gain_db < 0 else ""
    typer.echo(f"{made.samples / made.rate:.2f} s{reduction}")
    for file in (made.sound, made.preview, made.sidecar):
        if file is not None:
            typer.echo(f"  {file}")
