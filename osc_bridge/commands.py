"""The commands that this package adds to `omniaudio`: `osc`, the bridge, and `osc-send`, a small client of it."""

import asyncio
import ipaddress
import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from platformdirs import user_music_path

from omniaudio.errors import ExitCode, UserError
from omniaudio_client.client import Client
from omniaudio_client.discovery import default_folder, find
from omniaudio_client.http import EngineError
from osc_bridge.bridge import Bridge
from osc_bridge.console import Console, last_word, when_the_reader_goes
from osc_bridge.ledger import Ledger
from osc_bridge.messages import RefusedError
from osc_bridge.own_service import OwnService
from osc_bridge.packets import PacketError
from osc_bridge.sender import Outcome, Sender
from osc_bridge.service_engine import ServiceEngine
from osc_bridge.transport import listen_tcp, listen_udp
from trt_engine.commands.engine import UNAUTHORIZED, TokenFile, as_user_error, named, user_errors
from trt_engine.service.settings import default_roots

PORT = 9000
LEDGER = "osc.sqlite3"
INSPECTED = "inspected"
"""Beside the ledger, where the sources go that were found."""
SCENES = "OmniAudio"
"""In the user's music folder, where the sound of Blender's scenes goes."""


def osc(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="UDP and TCP.")] = PORT,
    bind: Annotated[str, typer.Option(help="The address to listen at; another needs --secret.")] = "127.0.0.1",
    engine: Annotated[
        str | None, typer.Option(help="The service's URL; else your own, which is started where it does not run.")
    ] = None,
    engine_folder: Annotated[
        Path | None, typer.Option(help="The service that runs on this folder, also when it comes back elsewhere.")
    ] = None,
    token_file: TokenFile = None,
    allow_root: Annotated[
        list[Path] | None, typer.Option(help="Clips lie in this folder; may be given again. Else the service decides.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option(envvar="OMNIAUDIO_OSC_SECRET", help="What a generation's options must name.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Where the sound of Blender's scenes goes; else OmniAudio in your music folder.")
    ] = None,
    ledger: Annotated[Path | None, typer.Option(help="Where requests are kept; else with the user's data.")] = None,
    child: Annotated[
        bool, typer.Option("--child", help="For a program that starts it: lines of JSON; ends with standard input.")
    ] = False,
) -> None:
    """Listen for OSC: DAWs ask for generations, the service makes them."""
    try:
        for root in allow_root or []:
            if not root.is_dir():
                raise UserError(f"There is no folder {root}: name another one with --allow-root.", ExitCode.NO_INPUT)
        results = (scenes or user_music_path() / SCENES).absolute()
        kept = ledger or default_folder().parent / LEDGER
        # What such a program hears on standard output is JSON.
        say = partial(typer.echo, err=child)
        with _service(engine, engine_folder, token_file, allow_root or [], say) as connect:
            service = ServiceEngine(connect, results, kept.parent / INSPECTED, allow_root or [])
            _serve(service, bind=bind, port=port, secret=secret, ledger=kept, child=child)
    except UserError as error:
        if child:
            last_word(error.sentence)
        raise


def _serve(engine: ServiceEngine, *, bind: str, port: int, secret: str | None, ledger: Path, child: bool) -> None:
    """The bridge from its checks to its end."""
    try:
        loopback = ipaddress.ip_address(bind).is_loopback
    except ValueError as error:
        raise UserError(f"{bind!r} is no address: name one like 127.0.0.1.") from error
    if not loopback and not secret:
        raise UserError(f"{bind} is reached from other machines: choose a --secret, or listen at 127.0.0.1.")
    try:
        kept = Ledger(ledger)
    except (OSError, sqlite3.Error) as error:
        locked = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        sentence = f"{ledger} cannot be used ({error}): name another --ledger."
        if locked:
            sentence = f"Another bridge runs with {ledger}: use that one, or choose another port and ledger."
        raise UserError(sentence, ExitCode.NOT_WRITABLE) from error
    try:
        # Not Windows' own loop: there, one datagram to a program that is gone ends the listening.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            console = Console() if child else None
            bridge = Bridge(engine, kept, secret, console.said if console else None)
            runner.run(_listen(bind, port, bridge, console))
    except OSError as error:
        raise UserError(f"Nothing can listen at {bind}:{port} ({error.strerror}): choose another port.") from error
    finally:
        kept.close()


def osc_send(
    *,
    video: Annotated[str, typer.Argument(help="The clip's path on the bridge's machine.")] = "",
    scene: Annotated[
        bool, typer.Option("--scene", help="The scene that is open in Blender, instead of a clip.")
    ] = False,
    options: Annotated[str, typer.Option(help='JSON, such as {"seed": 3, "duration": 4}.')] = "{}",
    request_id: Annotated[str | None, typer.Option("--id", help="The request's; else a new one.")] = None,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = PORT,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="Find what sounds in the clip, instead of making its sound.")
    ] = False,
    sources: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What sounds: a .json file on the bridge's machine.")
    ] = None,
    variation: Annotated[
        float | None, typer.Option(help="0 is an exemplar itself, 1 is free generation; else the model's own.")
    ] = None,
    order: Annotated[int | None, typer.Option(help="Of the ambisonics, 1 to 3; else 1.")] = None,
    stems: Annotated[bool, typer.Option("--stems", help="Each source alone as well.")] = False,
    result: Annotated[Path | None, typer.Option(help="A file that always holds the state as JSON.")] = None,
    patience: Annotated[float, typer.Option(min=1, help="Seconds without a word to wait for.")] = 30.0,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the request --id, and wait for its end.")] = False,
) -> None:
    """Ask the bridge for a generation and wait for it: prints the end as JSON."""
    if cancel and request_id is None:
        raise UserError("Nothing says what to cancel: name the request with --id.")
    if not cancel and not video and not scene:
        raise UserError("There is no clip: name its file, or ask for Blender's --scene.")
    if video and scene:
        raise UserError("A clip and a --scene are two requests: ask for one after the other.")
    if scene and inspect:
        raise UserError("A --scene is not inspected: name the file of a clip.")
    name = request_id or uuid4().hex
    wishes = {
        "sources": None if sources is None else str(sources.absolute()),
        "variation": variation,
        "order": order,
        "stems": stems or None,
    }
    options = _with(options, {wish: value for wish, value in wishes.items() if value is not None})

    def report(outcome: Outcome) -> None:
        if result is None:
            return
        try:
            outcome.write(result)
        except OSError as error:
            sentence = f"{result} cannot be written ({error.strerror}): name another --result."
            raise UserError(sentence, ExitCode.NOT_WRITABLE) from error

    try:
        with Sender(host, port) as sender:
            if cancel:
                outcome = sender.cancel(name, patience)
            else:
                clip = None if scene else str(Path(video).absolute())
                verb = "inspect" if inspect else "generate_scene" if scene else "generate"
                outcome = sender.ask(verb, name, clip, options, patience, report)
    except RefusedError as refused:
        outcome = Outcome(name, "failed", code=refused.code, sentence=refused.sentence)
        if not cancel:
            report(outcome)
    except PacketError as error:
        raise UserError(f"This cannot be said in OSC ({error}): rename the clip, or ask for less.") from error
    except OSError as error:
        raise UserError(f"{host}:{port} cannot be reached ({error.strerror}): check --host and --port.") from error
    if cancel and outcome.code == "cancelled":
        typer.echo(f"{name} is cancelled.")
        return
    typer.echo(outcome.sentence or json.dumps({"request_id": name, **outcome.made}))
    if outcome.state == "failed":
        raise typer.Exit(ExitCode.CANCELLED if outcome.code == "cancelled" else ExitCode.FAILED)


def _with(options: str, wishes: dict[str, Any]) -> str:
    """Options with what the command line wishes besides; whether they are right is the bridge's to say."""
    if not wishes:
        return options
    try:
        given = json.loads(options)
    except (ValueError, RecursionError):
        return options
    return json.dumps({**given, **wishes}) if isinstance(given, dict) else options


def register(app: typer.Typer) -> None:
    """Add this package's commands."""
    app.command()(osc)
    app.command(name="osc-send")(osc_send)


@contextmanager
def _service(
    url: str | None, folder: Path | None, token_file: Path | None, roots: list[Path], say: Callable[[str], object]
) -> Iterator[Callable[[], Client]]:
    """What gives the service, as long as the bridge runs: the one at a URL, the one that another program has started on
    a folder, or the user's own, which is started now and whenever a request finds that it has ended."""
    if url is not None:
        with user_errors():
            client = named(url, token_file)
        if client.local:  # one elsewhere may take long to say nothing
            try:
                client.workers()
            except EngineError as error:
                # One that does not answer yet may come later; that it wants a token is said before anybody asks.
                if error.code == UNAUTHORIZED:
                    raise as_user_error(error) from error
        yield lambda: client
    elif folder is not None:
        yield partial(find, folder)
    else:
        own = OwnService(default_folder(), roots or default_roots(), say)
        try:
            with user_errors():
                own.client()
            yield own.client
        finally:
            own.close()


async def _listen(host: str, port: int, bridge: Bridge, console: Console | None) -> None:
    """Until the process is told to end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    udp = await listen_udp(host, port, bridge.handle)
    tcp = await listen_tcp(host, port, bridge.handle)
    bridge.start(udp)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt there
            loop.add_signal_handler(number, ended.set)
    if console is None:
        typer.echo(f"OmniAudio's OSC bridge listens at {host}:{port}, UDP and TCP.")
    else:
        console.listening(host, port)
        when_the_reader_goes(lambda: loop.call_soon_threadsafe(ended.set))
    try:
        await ended.wait()
    finally:
        udp.close()
        tcp.close()
        await bridge.stop()
