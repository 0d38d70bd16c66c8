"""`omniaudio osc-send`: a small client of the OSC bridge."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from omniaudio.errors import ExitCode, UserError
from osc_bridge.commands.osc import PORT
from osc_bridge.messages import RefusedError
from osc_bridge.packets import PacketError
from osc_bridge.sender import Outcome, Sender


def osc_send(
    *,
    video: Annotated[str, typer.Argument(help="The path of a clip on the bridge's machine.")] = "",
    scene: Annotated[
        bool, typer.Option("--scene", help="Use the scene that is open in Blender instead of a clip.")
    ] = False,
    options: Annotated[str, typer.Option(help='Options as JSON, such as {"seed": 3, "duration": 4}.')] = "{}",
    request_id: Annotated[str | None, typer.Option("--id", help="The id of the request; default: a new one.")] = None,
    host: Annotated[str, typer.Option(help="The address of the bridge.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The UDP port of the bridge.")] = PORT,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="Recognise the sources in the clip instead of generating.")
    ] = False,
    sources: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The sources to generate: a .json file on the bridge's machine.")
    ] = None,
    variation: Annotated[
        float | None, typer.Option(help="0: an exemplar itself; 1: free generation; default: the model's.")
    ] = None,
    order: Annotated[int | None, typer.Option(help="The ambisonic order, 1 to 3; default: 1.")] = None,
    stems: Annotated[bool, typer.Option("--stems", help="Also write each source as a stem.")] = False,
    result: Annotated[Path | None, typer.Option(help="A file to keep the current state in, as JSON.")] = None,
    patience: Annotated[float, typer.Option(min=1, help="Give up after this many seconds without an answer.")] = 30.0,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the request --id, and wait until it has ended.")
    ] = False,
) -> None:
    """Send a request to the bridge, wait until it has ended, and print its result as JSON."""
    if cancel and request_id is None:
        raise UserError("--cancel needs the request's --id.")
    if not cancel and not video and not scene:
        raise UserError("Name a clip, or use --scene for the scene in Blender.")
    if video and scene:
        raise UserError("A clip and --scene exclude each other: send two requests.")
    if scene and inspect:
        raise UserError("--inspect needs a clip: leave out --scene.")
    name = request_id or uuid4().hex
    extra = {
        "sources": None if sources is None else str(sources.absolute()),
        "variation": variation,
        "order": order,
        "stems": stems or None,
    }
    options = _with(options, {name: value for name, value in extra.items() if value is not None})

    def report(outcome: Outcome) -> None:
        if result is None:
            return
        try:
            outcome.write(result)
        except OSError as error:
            message = f"{result} cannot be written ({error.strerror}): choose another --result."
            raise UserError(message, ExitCode.NOT_WRITABLE) from error

    try:
        with Sender(host, port) as sender:
            if cancel:
                outcome = sender.cancel(name, patience)
            else:
                clip = None if scene else str(Path(video).absolute())
                verb = "inspect" if inspect else "generate_scene" if scene else "generate"
                outcome = sender.ask(verb, name, clip, options, patience, report)
    except RefusedError as refused:
        outcome = Outcome(name, "failed", code=refused.code, message=refused.message)
        if not cancel:
            report(outcome)
    except PacketError as error:
        raise UserError(
            f"The request does not fit into an OSC message ({error}): rename the clip, or shorten the options."
        ) from error
    except OSError as error:
        raise UserError(f"{host}:{port} cannot be reached ({error.strerror}): check --host and --port.") from error
    if cancel and outcome.code == "cancelled":
        typer.echo(f"{name} is cancelled.")
        return
    typer.echo(outcome.message or json.dumps({"request_id": name, **outcome.made}))
    if outcome.state == "failed":
        raise typer.Exit(ExitCode.CANCELLED if outcome.code == "cancelled" else ExitCode.FAILED)


def _with(options: str, extra: dict[str, Any]) -> str:
    """Merge options of the command line into `options`; the bridge validates them."""
    if not extra:
        return options
    try:
        given = json.loads(options)
    except (ValueError, RecursionError):
        return options
    return json.dumps({**given, **extra}) if isinstance(given, dict) else options
