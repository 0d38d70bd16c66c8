"""`omniaudio osc`: the bridge between OSC and the service."""

import asyncio
import ipaddress
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_music_path

from omniaudio.errors import ExitCode, UserError
from omniaudio_client.client import Client
from omniaudio_client.discovery import (
    NO_TOKEN,
    TOKEN_VARIABLE,
    TOKEN_WANTED,
    UNAUTHORIZED,
    default_folder,
    default_roots,
    find,
    named,
)
from omniaudio_client.http import ServiceError
from osc_bridge.bridge import Bridge
from osc_bridge.console import Console, last_word, when_the_reader_goes
from osc_bridge.http_service import HttpService
from osc_bridge.ledger import Ledger
from osc_bridge.own_service import OwnService
from osc_bridge.transport import serve_tcp, serve_udp

PORT = 9000
LEDGER = "osc.sqlite3"
INSPECTED = "inspected"
"""The folder beside the ledger for the sources of inspected clips."""
SCENES = "OmniAudio"
"""The folder in the user's music folder for the sound of Blender scenes."""


def osc(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on, UDP and TCP.")] = PORT,
    bind: Annotated[
        str, typer.Option(help="The address to listen on; any but loopback requires --secret.")
    ] = "127.0.0.1",
    service_url: Annotated[
        str | None,
        typer.Option("--service", metavar="URL", help="The service; default: your own, started if it is not running."),
    ] = None,
    service_folder: Annotated[
        Path | None, typer.Option(help="The service with this folder, even if it restarts at another address.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help=f"The file that holds the service's token; default: {TOKEN_VARIABLE}, or your own service's file."
        ),
    ] = None,
    allow_root: Annotated[
        list[Path] | None,
        typer.Option(help="Accept clips only below this folder; repeatable; default: as the service allows."),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(envvar="OMNIAUDIO_OSC_SECRET", help="Accept only requests whose options contain this secret."),
    ] = None,
    scenes: Annotated[
        Path | None,
        typer.Option(help="The folder for the sound of Blender scenes; default: OmniAudio in your music folder."),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="The file that records requests; default: in the user's data folder.")
    ] = None,
    child: Annotated[
        bool,
        typer.Option("--child", help="For a parent process: print lines of JSON, and exit when standard input closes."),
    ] = False,
) -> None:
    """Run the OSC bridge: DAWs send requests, the service generates."""
    try:
        for root in allow_root or []:
            if not root.is_dir():
                raise UserError(f"There is no folder {root}: check --allow-root.", ExitCode.NO_INPUT)
        results = (scenes or user_music_path() / SCENES).absolute()
        kept = ledger or default_folder().parent / LEDGER
        # A parent process expects only JSON on standard output.
        say = partial(typer.echo, err=child)
        with _service(service_url, service_folder, token_file, allow_root or [], say) as connect:
            service = HttpService(connect, results, kept.parent / INSPECTED, allow_root or [])
            _serve(service, bind=bind, port=port, secret=secret, ledger=kept, child=child)
    except UserError as error:
        if child:
            last_word(error.message)
        raise


def _serve(service: HttpService, *, bind: str, port: int, secret: str | None, ledger: Path, child: bool) -> None:
    """Check the options and run the bridge until it is stopped."""
    try:
        loopback = ipaddress.ip_address(bind).is_loopback
    except ValueError as error:
        raise UserError(f"{bind!r} is not an IP address: use one such as 127.0.0.1.") from error
    if not loopback and not secret:
        raise UserError(f"{bind} is reachable from other machines: set a --secret, or bind to 127.0.0.1.")
    try:
        kept = Ledger(ledger)
    except (OSError, sqlite3.Error) as error:
        locked = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        message = f"{ledger} cannot be used ({error}): choose another --ledger."
        if locked:
            message = f"Another bridge uses {ledger}: use that bridge, or choose another --port and --ledger."
        raise UserError(message, ExitCode.NOT_WRITABLE) from error
    try:
        # On Windows, the default loop stops receiving after one datagram to a closed port.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            console = Console() if child else None
            bridge = Bridge(service, kept, secret, console.sent if console else None)
            runner.run(_receive(bind, port, bridge, console))
    except OSError as error:
        raise UserError(
            f"The bridge cannot listen on {bind}:{port} ({error.strerror}): choose another port."
        ) from error
    finally:
        kept.close()


@contextmanager
def _service(
    url: str | None, folder: Path | None, token_file: Path | None, roots: list[Path], say: Callable[[str], object]
) -> Iterator[Callable[[], Client]]:
    """Yield a function that returns the service: the one at a URL, the one that another program started with a folder,
    or the user's own, which is started now and again whenever a request finds it stopped."""
    if url is not None:
        with _user_errors():
            client = named(url, token_file)
        if client.local:  # a remote one may take long to time out
            try:
                client.workers()
            except ServiceError as error:
                # A service that does not answer may start later; report a missing token now.
                if error.code == UNAUTHORIZED:
                    raise UserError(TOKEN_WANTED) from error
        yield lambda: client
    elif folder is not None:
        yield partial(find, folder)
    else:
        own = OwnService(default_folder(), roots or default_roots(), say)
        try:
            with _user_errors():
                own.client()
            yield own.client
        finally:
            own.close()


@contextmanager
def _user_errors() -> Iterator[None]:
    """Raise errors of the client as `UserError`."""
    try:
        yield
    except ServiceError as error:
        code = ExitCode.NO_INPUT if error.code == NO_TOKEN else ExitCode.FAILED
        raise UserError(error.message, code) from error


async def _receive(host: str, port: int, bridge: Bridge, console: Console | None) -> None:
    """Receive messages until a signal, or until the parent process closes standard input."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    udp = await serve_udp(host, port, bridge.handle)
    tcp = await serve_tcp(host, port, bridge.handle)
    bridge.start(udp)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt there
            loop.add_signal_handler(number, ended.set)
    if console is None:
        typer.echo(f"The OSC bridge listens on {host}:{port}, UDP and TCP.")
    else:
        console.listening(host, port)
        when_the_reader_goes(lambda: loop.call_soon_threadsafe(ended.set))
    try:
        await ended.wait()
    finally:
        udp.close()
        tcp.close()
        await bridge.stop()
