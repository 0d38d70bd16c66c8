"""The server under the API: its socket, its limits, its log, and the file with its address for clients."""

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from ipaddress import ip_address
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from omniaudio.errors import UserError
from omniaudio.files import replacing
from trt_engine.service.api.answers import JsonErrors
from trt_engine.service.api.routes import create_api, end_streams
from trt_engine.service.api.security import Guard, bracketed, token
from trt_engine.service.jobs.supervisor import Supervisor
from trt_engine.service.settings import ADDRESS, LOG, Settings
from trt_engine.service.worker import gpu

MAX_CONNECTIONS = 256
MAX_HEAD_BYTES = 32 * 1024
"""Of a request's line and headers."""
STALLED_SECONDS = 60.0
"""A client that for so long neither sends the rest of its request nor takes its answer is dropped."""

_TICKS_A_SECOND = 10
_KEPT_ALIVE_SECONDS = 30
_ENDING_SECONDS = 5
"""For so long downloads go on when the service ends."""
_LOG_BYTES = 1_000_000
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts that stand for every address of the machine, and the one by which it reaches itself."""


class Service(uvicorn.Server):
    """A service that has its folder and its port, and listens once it is run: until a signal, or `should_exit`."""

    def __init__(self, settings: Settings) -> None:
        """Take the folder and the port.

        Raises:
            UserError: a device does not answer; another service has the folder or the port, or they cannot be used; a
                root is no folder; the token is not private, or none is wanted where others reach the service.
        """
        self._settings = settings
        for device in settings.devices:
            gpu.check(device)
        self._supervisor = Supervisor(settings)
        self.api = create_api(settings, self._supervisor)
        secret = token(settings.folder) if settings.token_required else None
        self._socket = _bind(settings)
        own_name = () if settings.host in _ANY_ADDRESS else (settings.host,)
        config = uvicorn.Config(
            Guard(JsonErrors(self.api), secret, (*own_name, *settings.allowed_hosts)),
            http=_Protocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=_KEPT_ALIVE_SECONDS,
            timeout_graceful_shutdown=_ENDING_SECONDS,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        super().__init__(config)
        self._last_used, self._requests = time.monotonic(), 0

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{bracketed(_ANY_ADDRESS.get(host, host))}:{port}"

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen until a signal.

        Raises:
            UserError: the jobs of before cannot be taken up.
        """
        log = self._settings.folder / LOG
        with _logging_to(log):
            try:
                super().run(sockets)
            except SystemExit as error:  # uvicorn's way to say that the application did not start
                raise UserError(f"The service could not start: {log} says why.") from error

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([self._socket])
        self._last_used = time.monotonic()
        address = {"url": self.url, "pid": os.getpid(), "version": version("omniaudio-blender")}
        with replacing(self._settings.folder / ADDRESS) as partial:
            partial.write_text(json.dumps(address) + "\n", encoding="utf-8")

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second: whether the service is to end."""
        ended = await super().on_tick(counter)
        return ended or (counter % _TICKS_A_SECOND == 0 and self._has_lingered())

    def _has_lingered(self) -> bool:
        """Whether for so long as is wanted no job was there, and nobody asked for anything; a Blender that is connected
        asks for the jobs that it is to render."""
        linger = self._settings.linger_seconds
        if linger is None:
            return False
        now, requests = time.monotonic(), self.server_state.total_requests
        if self.server_state.tasks or requests != self._requests or self._supervisor.working:
            self._last_used, self._requests = now, requests
        return now - self._last_used >= linger

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        (self._settings.folder / ADDRESS).unlink(missing_ok=True)
        end_streams(self.api)
        await super().shutdown([self._socket])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal is an ordinary end, which the exit code says too; the second Ctrl-C waits for nobody."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class _Protocol(H11Protocol):
    """HTTP/1.1 that drops a client which has stopped; uvicorn itself would wait for it."""

    _sending: asyncio.TimerHandle | None = None
    """Runs while the rest of a request is awaited."""
    _taking: asyncio.TimerHandle | None = None
    """Runs while bytes of an answer wait to be taken."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Nothing is kept for a client beyond what the system does.
        transport.set_write_buffer_limits(high=0)
        self._sending = self.loop.call_later(STALLED_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        _cancel(self._sending)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._sending = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        _cancel(self._taking)
        self._taking = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._taking)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _cancel(self._sending)
        _cancel(self._taking)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _bind(settings: Settings) -> socket.socket:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.create_server(address[:2], family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise UserError(
            f"{settings.host}, port {settings.port}, cannot be used ({error.strerror}): choose another --port, "
            f"or --host."
        ) from error
    if not settings.token_required and not ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        listening.close()
        raise UserError("Beyond this machine a token is required: leave out --no-token, or --host.")
    return listening


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the errors of the service and its server to a file; those of the server only there."""
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    quiet, shown = (logging.getLogger("uvicorn"), logging.getLogger("asyncio")), logging.getLogger("trt_engine")
    for logger in (*quiet, shown):
        logger.addHandler(handler)
        logger.propagate = logger is shown
    try:
        yield
    finally:
        for logger in (*quiet, shown):
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()
