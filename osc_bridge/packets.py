"""Bytes to OSC messages and back (Open Sound Control 1.0; 1.1 for the types), safe against malformed packets.

python-osc only reads single messages here. Its dispatcher turns every address into a regular expression, which 46 bytes
can keep busy for seconds; its parser of bundles follows a negative size backwards for ever, and so does its parser of
blobs, once. So this module splits bundles itself, and checks the types of a message before python-osc reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

Argument = str | int | float | bool

MAX_PACKET_BYTES = 65_507
"""The size of a UDP datagram, and of a packet over TCP."""
MAX_MESSAGES = 64
"""In one packet."""
MAX_BUNDLE_DEPTH = 8

BUNDLE = b"#bundle\0"
_HEADER = len(BUNDLE) + 8  # and the time tag
TYPES = frozenset("sifhdTF")
"""The types in the bridge's messages: strings, integers, floats, booleans."""


class PacketError(Exception):
    """A packet that cannot be read or written; the text says why."""


@dataclass(frozen=True)
class Message:
    """One message: its literal address, and its arguments."""

    address: str
    arguments: tuple[Argument, ...] = ()


def read(packet: bytes) -> list[Message]:
    """The messages of a packet, in order; time tags of bundles are ignored.

    Raises:
        PacketError: it is not OSC, has types that the bridge does not know, or is too large.
    """
    if len(packet) > MAX_PACKET_BYTES:
        raise PacketError(f"{len(packet)} bytes are too many")
    messages: list[Message] = []
    for element in _elements(packet, 0):
        if len(messages) == MAX_MESSAGES:
            raise PacketError(f"more than {MAX_MESSAGES} messages in one packet")
        messages.append(_message(element))
    return messages


def write(message: Message) -> bytes:
    """The bytes of a message. Integers are written with 32 bits, or 64 if they need them; floats with 32 bits.

    Raises:
        PacketError: OSC cannot carry it.
    """
    builder = OscMessageBuilder(message.address)
    try:
        for argument in message.arguments:
            builder.add_arg(argument)
        return bytes(builder.build().dgram)
    except (BuildError, ParseError, ValueError, OverflowError) as error:
        raise PacketError(f"{message.address} cannot be sent: {error}") from error


def _elements(packet: bytes, depth: int) -> Iterator[bytes]:
    """The bytes of each message in a packet."""
    if not packet.startswith(BUNDLE):
        yield packet
        return
    if depth == MAX_BUNDLE_DEPTH:
        raise PacketError(f"bundles within bundles, more than {MAX_BUNDLE_DEPTH} deep")
    if len(packet) < _HEADER:
        raise PacketError("a bundle without its time tag")
    begin = _HEADER
    while begin < len(packet):
        end = begin + 4 + int.from_bytes(packet[begin : begin + 4], "big")  # a negative size is a very large one
        if begin + 4 > len(packet) or end > len(packet) or end == begin + 4:
            raise PacketError("a bundle whose sizes do not add up")
        yield from _elements(packet[begin + 4 : end], depth + 1)
        begin = end


def _message(packet: bytes) -> Message:
    if not packet.startswith(b"/"):
        raise PacketError("neither a message nor a bundle")
    address_end = packet.find(b"\0")
    if address_end < 0:
        raise PacketError("an address without an end")
    tags = packet[address_end // 4 * 4 + 4 :].partition(b"\0")[0]
    if tags[:1] not in (b",", b""):
        raise PacketError("arguments without types")
    if unknown := set(tags[1:].decode("latin-1")) - TYPES:
        raise PacketError(f"unknown types: {', '.join(sorted(unknown))}")
    try:
        message = OscMessage(packet)
        return Message(message.address, tuple(message.params))
    except (ParseError, UnicodeDecodeError) as error:
        raise PacketError("a message that is cut off or not UTF-8") from error
