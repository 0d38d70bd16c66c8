"""`omniaudio export`: writes a 360° video with spatial audio."""

from pathlib import Path
from typing import Annotated

import typer

from omniaudio.audio.convention import converted_from
from omniaudio.commands.reporting import print_event, running
from omniaudio.commands.validation import validated
from omniaudio.export360.audio_track import Codec


def export(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A 360° video, still image or image sequence.")],
    sound: Annotated[
        Path,
        typer.Argument(metavar="FOA.wav", help="Four channels; AmbiX unless the file declares another convention."),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .mov for PCM; an .mp4 for Opus and AAC.")],
    codec: Annotated[Codec, typer.Option(help="The audio codec.")] = Codec.PCM,
    clip_start: Annotated[float, typer.Option(help="Time in the clip at which the sound begins, in seconds.")] = 0.0,
    stereo: Annotated[
        str | None, typer.Option(help="mono, top-bottom or side-by-side; default: detected from the clip.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Accept a clip that does not look like 360°.")] = False,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Use the readable part of a truncated file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")] = False,
) -> None:
    """Export a 360° video with spatial audio, for YouTube and headsets."""
    from omniaudio.export360 import spatial_video  # noqa: PLC0415 - keeps other commands fast

    with running(as_json) as report:
        request = validated(
            spatial_video.ExportRequest,
            clip=clip,
            sound=sound,
            output=output,
            codec=codec,
            clip_start=clip_start,
            stereo=stereo,
            force=force,
            allow_truncated=allow_truncated,
        )
        made = spatial_video.export_spatial_video(request, report)
    if as_json:
        print_event("done", **made.model_dump(mode="json"), converted_from=converted_from(sound))
        return
    how = "copied" if made.copied else "encoded"
    if made.scaled_from:
        how += "; scaled down from {} × {}, which exceeds the largest H.264 level".format(*made.scaled_from)
    typer.echo(
        f"{made.path}: {made.seconds:.2f} s, {made.width} × {made.height}, {made.stereo}, "
        f"{made.video_codec} ({how}), {made.codec}"
    )
