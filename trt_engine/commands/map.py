"""`omniaudio map`: where a sound comes from, as a film over its panorama."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from trt_engine.commands.events import print_event
from trt_engine.commands.requests import checked, running


def draw_map(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A 360° video, picture or image sequence.")],
    sound: Annotated[Path, typer.Argument(metavar="FOA.wav", help="Four channels, AmbiX unless it declares another.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The MP4.")],
    picture_start: Annotated[float, typer.Option(help="Seconds of the picture at which the sound begins.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")] = False,
) -> None:
    """Draw where a sound comes from over its panorama, as a film."""
    from omniaudio.export360 import direction_map_video  # noqa: PLC0415 - other commands start without it

    with running(as_json) as report:
        request = checked(
            direction_map_video.MapMovie, sound=sound, picture=picture, output=output, picture_start=picture_start
        )
        made = direction_map_video.draw_movie(request, report)
    if as_json:
        print_event("done", path=str(made), converted_from=converted_from(sound))
    else:
        typer.echo(f"{made}")
