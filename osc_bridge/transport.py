"""Sends and receives packets: UDP, and TCP in both framings (OSC 1.0 by length, OSC 1.1 by SLIP, RFC 1055).

Everything runs on one asyncio loop, and no queue is unbounded. A datagram is handled when it is read; if they arrive
faster, the system's receive buffer drops them. A TCP client that does not read its answers loses its connection.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from pythonosc import slip

from osc_bridge.packets import MAX_PACKET_BYTES, Message, PacketError, read, write

MAX_BACKLOG = 1 << 20
"""Bytes that may wait for one TCP client to read them, and bytes of datagrams that may wait to be sent."""
MAX_CONNECTIONS = 64

_log = logging.getLogger(__name__)


class Peer(Protocol):
    """The sender of a message, who can be answered."""

    @property
    def host(self) -> str:
        """The address that messages came from; answers go to no other."""
        ...

    @property
    def port(self) -> int | None:
        """The port for answers; None over TCP, which answers on its own connection."""
        ...

    def send(self, message: Message) -> None:
        """Send an answer; one that cannot be delivered is lost, as datagrams are."""
        ...


Handler = Callable[[Message, Peer], None]


@dataclass(frozen=True)
class UdpPeer:
    """A program at an address and a port."""

    host: str
    port: int
    transport: asyncio.DatagramTransport

    def send(self, message: Message) -> None:
        """Send one datagram, unless too many are waiting."""
        waiting = self.transport.get_write_buffer_size()  # type: ignore[attr-defined]  # typeshed does not know it
        if not self.transport.is_closing() and waiting < MAX_BACKLOG:
            self.transport.sendto(write(message), (self.host, self.port))

    def at(self, port: int) -> "UdpPeer":
        """The same program, listening on another port."""
        return UdpPeer(self.host, port, self.transport)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own class does not derive from the documented one.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        deliver(data, UdpPeer(address[0], address[1], self._transport), self._handler)

    def error_received(self, error: Exception) -> None:
        _log.debug("A datagram could not be delivered: %s.", error)  # no program listens there any more


class TcpPeer:
    """A program at the other end of a connection, with the framing of its first packet."""

    def __init__(self, writer: asyncio.StreamWriter, by_length: bool) -> None:
        self.host = str(writer.get_extra_info("peername")[0])
        self.port: int | None = None
        self._writer = writer
        self._by_length = by_length

    def send(self, message: Message) -> None:
        """Send one packet; cut off a client that has left a megabyte unread."""
        if self._writer.is_closing():
            return
        packet = write(message)
        self._writer.write(len(packet).to_bytes(4, "big") + packet if self._by_length else slip.encode(packet))
        if self._writer.transport.get_write_buffer_size() > MAX_BACKLOG:
            _log.warning("A client at %s does not read its answers: cut off.", self.host)
            self._writer.transport.abort()


def deliver(packet: bytes, peer: Peer, handler: Handler) -> None:
    """Pass on every message of a packet; an invalid packet is dropped, since OSC has no errors."""
    try:
        messages = read(packet)
    except PacketError as error:
        _log.debug("A packet from %s was dropped: %s.", peer.host, error)
        return
    for message in messages:
        handler(message, peer)


async def serve_udp(host: str, port: int, handler: Handler) -> asyncio.DatagramTransport:
    """Receive datagrams on a port. Raises OSError if it is taken."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(handler), (host, port))
    return transport


async def serve_tcp(host: str, port: int, handler: Handler) -> asyncio.Server:
    """Accept connections on a port. Raises OSError if it is taken."""
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            if len(connections) <= MAX_CONNECTIONS:
                await _converse(reader, writer, handler)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, PacketError) as error:
            _log.debug("A connection ended: %s.", error)
        finally:
            connections.discard(task)
            writer.close()

    return await asyncio.start_server(accept, host, port, limit=2 * MAX_PACKET_BYTES)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Read packets until the connection ends. Its first byte tells the framing: SLIP begins with END, a length below
    16 MB with zero."""
    first = await reader.readexactly(1)
    by_length = first == b"\0"
    peer = TcpPeer(writer, by_length)
    if by_length:
        rest = 3
        while True:
            head = first + await reader.readexactly(rest)
            first, rest = b"", 4
            length = int.from_bytes(head, "big")
            if length > MAX_PACKET_BYTES:
                raise PacketError(f"{length} bytes were announced")
            deliver(await reader.readexactly(length), peer, handler)
    frame = first
    while True:
        frame += await reader.readuntil(slip.END)
        if packet := frame.strip(slip.END):
            try:
                packet = slip.decode(packet)
            except slip.ProtocolError:
                packet = b""
            deliver(packet, peer, handler)
        frame = b""
