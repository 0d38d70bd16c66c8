"""Where packets come from and go to: UDP, and TCP in both framings (OSC 1.0 by length, OSC 1.1 by SLIP, RFC 1055).

Everything runs on one asyncio loop, and nothing is queued without a bound: a datagram is dealt with when it is read,
what comes faster is dropped by the system's own receive buffer; a TCP client that does not read what it is sent loses
its connection.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from pythonosc import slip

from osc_bridge.packets import MAX_PACKET_BYTES, Message, PacketError, read, write

MAX_BACKLOG = 1 << 20
"""Bytes that may wait for one TCP client to read them, and for datagrams to leave."""
MAX_CONNECTIONS = 64

_log = logging.getLogger(__name__)


class Peer(Protocol):
    """Somebody who sent a message and can be answered."""

    @property
    def host(self) -> str:
        """The address that messages came from, and the only one that answers go to."""
        ...

    @property
    def port(self) -> int | None:
        """Where datagrams go; None over TCP, which answers on its own connection."""
        ...

    def send(self, message: Message) -> None:
        """Answer; what cannot be delivered is lost, as datagrams are."""
        ...


Handler = Callable[[Message, Peer], None]


@dataclass(frozen=True)
class UdpPeer:
    """A program at an address and a port."""

    host: str
    port: int
    transport: asyncio.DatagramTransport

    def send(self, message: Message) -> None:
        """Send one datagram, unless more wait than the system takes."""
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
        # asyncio's own class for it does not derive from the one that it documents.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        deliver(data, UdpPeer(address[0], address[1], self._transport), self._handler)

    def error_received(self, error: Exception) -> None:
        _log.debug("A datagram could not be delivered: %s.", error)  # nobody listens there any more


class TcpPeer:
    """A program at the other end of a connection, in the framing that it began with."""

    def __init__(self, writer: asyncio.StreamWriter, by_length: bool) -> None:
        self.host = str(writer.get_extra_info("peername")[0])
        self.port: int | None = None
        self._writer = writer
        self._by_length = by_length

    def send(self, message: Message) -> None:
        """Send one packet; a client that has left a megabyte unread is cut off."""
        if self._writer.is_closing():
            return
        packet = write(message)
        self._writer.write(len(packet).to_bytes(4, "big") + packet if self._by_length else slip.encode(packet))
        if self._writer.transport.get_write_buffer_size() > MAX_BACKLOG:
            _log.warning("A client at %s does not read its answers: cut off.", self.host)
            self._writer.transport.abort()


def deliver(packet: bytes, peer: Peer, handler: Handler) -> None:
    """Hand every message of a packet on; a packet that is none is dropped, as OSC has no errors."""
    try:
        messages = read(packet)
    except PacketError as error:
        _log.debug("A packet from %s was dropped: %s.", peer.host, error)
        return
    for message in messages:
        handler(message, peer)


async def listen_udp(host: str, port: int, handler: Handler) -> asyncio.DatagramTransport:
    """Listen for datagrams. Raises OSError if the port is taken."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(handler), (host, port))
    return transport


async def listen_tcp(host: str, port: int, handler: Handler) -> asyncio.Server:
    """Listen for connections. Raises OSError if the port is taken."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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

    return await asyncio.start_server(serve, host, port, limit=2 * MAX_PACKET_BYTES)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Read packets to the connection's end. Its first byte tells the framing: SLIP begins with END, a length below
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
