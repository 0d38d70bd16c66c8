"""`omniaudio serve`: jobs for Blender, the OSC bridge, the command line and a browser at once."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from omniaudio.errors import UserError
from trt_engine.service.settings import PORT, TOKEN, Settings, default_folder, default_roots

_OPTIONS = {
    "devices": "device",
    "idle_seconds": "idle-minutes",
    "keep_days": "keep-days",
    "most_seconds": "most-minutes",
    "linger_seconds": "linger",
}
"""Settings that their options name otherwise."""


def serve(
    *,
    host: Annotated[str, typer.Option(help="The address to listen at; beyond this machine only if told so.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = PORT,
    folder: Annotated[Path | None, typer.Option(help="For jobs, results and uploads; else the user's own.")] = None,
    allow_root: Annotated[
        list[Path] | None, typer.Option(help="Read clips only in this folder, and others named so; else home and here.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name by which clients reach it, like a proxy's.")
    ] = None,
    token: Annotated[
        bool, typer.Option("--token/--no-token", help="Ask clients for the token; must be where others reach it.")
    ] = True,
    device: Annotated[list[str] | None, typer.Option(help="cpu, cuda:0 and so on, one worker each; else cpu.")] = None,
    idle_minutes: Annotated[float, typer.Option(help="A worker without a job for so long gives its memory back.")] = 10,
    keep_days: Annotated[float, typer.Option(help="Jobs and uploads are deleted after so long.")] = 30,
    most_minutes: Annotated[float, typer.Option(help="Of sound that one job generates.")] = 60,
    linger: Annotated[
        float | None,
        typer.Option(help="End when for so many seconds no job waits or runs and no Blender is connected."),
    ] = None,
) -> None:
    """Keep a service running that makes sound for others, until Ctrl-C."""
    from trt_engine.service.api.server import Service  # noqa: PLC0415 - takes a while, and the other commands need none

    try:
        settings = Settings(
            folder=(folder or default_folder()).absolute(),
            host=host,
            port=port,
            allowed_hosts=tuple(allow_host or ()),
            roots=tuple(allow_root) if allow_root else default_roots(),
            token_required=token,
            devices=tuple(device) if device else ("cpu",),
            idle_seconds=60 * idle_minutes,
            keep_days=keep_days,
            most_seconds=60 * most_minutes,
            linger_seconds=linger,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        raise UserError(f"Correct --{_OPTIONS.get(name, name)}: {fault['msg'].lower()}.") from error
    service = Service(settings)
    typer.echo(f"OmniAudio listens at {service.url}")
    typer.echo(f"The token lies in {settings.folder / TOKEN}" if token else "No token is asked for.")
    service.run()
