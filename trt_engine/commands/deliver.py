"""`omniaudio deliver`: a 360° video with spatial audio."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from omniaudio.export360.audio_track import Codec
from trt_engine.commands.events import print_event
from trt_engine.commands.requests import checked, running


def deliver(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A 360° video, picture or image sequence.")],
    sound: Annotated[Path, typer.Argument(metavar="FOA.wav", help="Four channels, AmbiX unless it declares another.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .mov for PCM, an .mp4 for Opus and AAC.")],
    codec: Annotated[Codec, typer.Option(help="Of the sound.")] = Codec.PCM,
    picture_start: Annotated[float, typer.Option(help="Seconds of the picture at which the sound begins.")] = 0.0,
    stereo: Annotated[
        str | None, typer.Option(help="mono, top-bottom or side-by-side; else what the picture says or looks like.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also of a picture that does not look like 360°.")] = False,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Of a file that was cut off, take what can be read.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")] = False,
) -> None:
    """Deliver a 360° video with spatial audio, for YouTube and headsets."""
    from omniaudio.export360 import spatial_video  # noqa: PLC0415 - other commands start without it

    with running(as_json) as report:
        request = checked(
            spatial_video.Deliver,
            picture=picture,
            sound=sound,
            output=output,
            codec=codec,
            picture_start=picture_start,
            stereo=stereo,
            force=force,
            allow_truncated=allow_truncated,
        )
        made = spatial_video.deliver(request, report)
    if as_json:
        print_event("done", **made.model_dump(mode="json"), converted_from=converted_from(sound))
        return
    how = "copied" if made.copied else "encoded"
    if made.scaled_from:
        how += "; scaled down from {} × {}, which H.264 has no level for".format(*made.scaled_from)
    typer.echo(
        f"{made.path}: {made.seconds:.2f} s, {made.width} × {made.height}, {made.stereo}, "
        f"{made.video_codec} ({how}), {made.codec}"
    )
