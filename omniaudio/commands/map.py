"""`omniaudio map`: draws a direction map as a video."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from omniaudio.commands.reporting import print_event, running
from omniaudio.commands.validation import validated


def draw_map(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A 360° video, still image or image sequence.")],
    sound: Annotated[
        Path,
        typer.Argument(metavar="FOA.wav", help="Four channels; AmbiX unless the file declares another convention."),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The MP4 to write.")],
    clip_start: Annotated[float, typer.Option(help="Time in the clip at which the sound begins, in seconds.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")] = False,
) -> None:
    """Draw where a sound comes from over its panorama, as a video."""
    from omniaudio.export360 import direction_map_video  # noqa: PLC0415 - keeps other commands fast

    with running(as_json) as report:
        request = validated(
            direction_map_video.DirectionMapVideoRequest,
            sound=sound,
            clip=clip,
            output=output,
            clip_start=clip_start,
        )
        made = direction_map_video.write_direction_map_video(request, report)
    if as_json:
        print_event("done", path=str(made), converted_from=converted_from(sound))
    else:
        typer.echo(f"{made}")
