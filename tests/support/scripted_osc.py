"""The two ends of the OSC bridge with answers that a test gives: the service behind it, and the bridge itself."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from osc_bridge.bridge import Bridge
from osc_bridge.ledger import Entry, Ledger
from osc_bridge.messages import RefusedError
from osc_bridge.packets import Argument, Message, read, write
from osc_bridge.service import JobView, Service, Take
from osc_bridge.transport import serve_udp

AWAY = RefusedError("unreachable", "The service is away: start it.")
TAKE = Take(1, "/a.ambix.wav", 4, 48000, 1.0, "")


class ScriptedService:
    """Jobs have the ids of their requests. A call raises the exception that `failing` holds under its name."""

    def __init__(self) -> None:
        self.failing: dict[str, Exception] = {}
        self.states: dict[str, str] = {}
        self.calls: list[str] = []

    def submit(self, entry: Entry) -> str:
        self._called("submit")
        self.states.setdefault(entry.request_id, "running")
        return entry.request_id

    def look(self, jobs: Iterable[str]) -> list[JobView]:
        self._called("look")
        return [JobView(job, self.states[job], "sound", 0.5, 1.0) for job in jobs]

    def deliver(self, entry: Entry) -> list[Take]:
        self._called("deliver")
        return [TAKE]

    def cancel(self, job: str) -> JobView:
        self._called("cancel")
        self.states[job] = "cancelled"
        return JobView(job, "cancelled", code="cancelled", message="It was cancelled.")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]


class Client:
    """A socket to a bridge that runs in this thread's loop."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.bridge = ("127.0.0.1", port)
        self.port = self.socket.getsockname()[1]

    def send(self, verb: str, *arguments: Argument) -> None:
        self.socket.sendto(write(Message(f"/omniaudio/{verb}", arguments)), self.bridge)

    async def hear(self, *verbs: str, seconds: float = 5.0) -> tuple[Argument, ...]:
        async with asyncio.timeout(seconds):
            while True:
                (message,) = read(await asyncio.get_running_loop().sock_recv(self.socket, 65_535))
                if message.address.removeprefix("/omniaudio/") in verbs:
                    return message.arguments


@asynccontextmanager
async def running(service: Service, path: Path) -> AsyncIterator[tuple[Client, Bridge, Ledger]]:
    with closing(Ledger(path)) as ledger:
        bridge = Bridge(service, ledger)
        udp = await serve_udp("127.0.0.1", 0, bridge.handle)
        bridge.start(udp)
        client = Client(udp.get_extra_info("sockname")[1])
        try:
            yield client, bridge, ledger
        finally:
            client.socket.close()
            udp.close()
            await bridge.stop()


@contextmanager
def scripted_bridge(*answers: list[tuple[Any, ...]]) -> Iterator[tuple[int, list[str]]]:
    """Answer the n-th message with the n-th list, and all later ones with the last list; yields the port and the
    verbs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        asked: list[str] = []

        def serve() -> None:
            while True:
                packet, address = listening.recvfrom(65_535)
                verb = read(packet)[0].address.removeprefix("/omniaudio/")
                if verb in ("ack", "end"):
                    return
                # Before the answer, after which the test continues.
                asked.append(verb)
                for name, *arguments in answers[min(len(asked), len(answers)) - 1]:
                    listening.sendto(write(Message(f"/omniaudio/{name}", tuple(arguments))), address)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        try:
            yield port, asked
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                own.sendto(write(Message("/omniaudio/end")), ("127.0.0.1", port))
            thread.join()
