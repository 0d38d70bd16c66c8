"""`omniaudio serve`: runs the service for Blender, the OSC bridge, the command line and other clients."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from omniaudio.errors import UserError
from omniaudio_client.discovery import default_roots
from trt_engine.service.settings import PORT, TOKEN, Settings, default_folder

_OPTIONS = {
    "devices": "device",
    "idle_seconds": "idle-minutes",
    "keep_days": "keep-days",
    "max_seconds": "max-minutes",
    "linger_seconds": "linger",
}
"""Settings whose options have another name."""


def serve(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; the default accepts this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="The TCP port; 0 picks a free one.")] = PORT,
    folder: Annotated[
        Path | None, typer.Option(help="Where jobs, results and uploads are kept; default: the user's data folder.")
    ] = None,
    allow_root: Annotated[
        list[Path] | None,
        typer.Option(help="Read clips only below this folder; repeatable; default: home and the current folder."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another host name that clients use, such as a proxy's; repeatable.")
    ] = None,
    token: Annotated[
        bool, typer.Option("--token/--no-token", help="Require the token; mandatory beyond this machine.")
    ] = True,
    device: Annotated[
        list[str] | None, typer.Option(help="cpu, cuda:0 and so on; one worker each; repeatable; default: cpu.")
    ] = None,
    idle_minutes: Annotated[float, typer.Option(help="An idle worker releases its memory after this time.")] = 10,
    keep_days: Annotated[float, typer.Option(help="Jobs and uploads are deleted after this time.")] = 30,
    max_minutes: Annotated[float, typer.Option(help="The longest sound that one job may generate.")] = 60,
    linger: Annotated[
        float | None,
        typer.Option(help="Exit after this many seconds without a job or a connected Blender; default: never."),
    ] = None,
) -> None:
    """Run the service that generates sound for other programs, until Ctrl-C."""
    from trt_engine.service.api.server import Service  # noqa: PLC0415 - keeps other commands fast

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
            max_seconds=60 * max_minutes,
            linger_seconds=linger,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        raise UserError(f"Correct --{_OPTIONS.get(name, name)}: {fault['msg'].lower()}.") from error
    service = Service(settings)
    typer.echo(f"OmniAudio listens on {service.url}")
    typer.echo(f"Token file: {settings.folder / TOKEN}" if token else "No token is required.")
    service.run()
