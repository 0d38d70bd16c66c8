"""A DAW as the OSC bridge sees it."""

import secrets
import socket
import time

from osc_bridge.packets import Argument, Message, read, write

SECONDS = 60.0


class Daw:
    """A program that sends messages to a bridge and receives its answers."""

    def __init__(self, port: int) -> None:
        self.bridge = ("127.0.0.1", port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def send(self, verb: str, *arguments: Argument) -> None:
        self.socket.sendto(write(Message(f"/omniaudio/{verb}", arguments)), self.bridge)

    def hear(self, *verbs: str, seconds: float = SECONDS) -> Message:
        """The next message with one of these verbs; others are skipped."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            for message in read(self.socket.recv(65_535)):
                if message.address.removeprefix("/omniaudio/") in verbs:
                    return message
        raise TimeoutError(f"no {' or '.join(verbs)} within {seconds} s")

    def silent(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(65_535)
        except TimeoutError:
            return True
        return False


def free_port() -> int:
    """A port that is free for UDP and TCP, below those that systems give to connections, so that none takes it before
    it is used."""
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as taken:
                    taken.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
