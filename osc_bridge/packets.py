"""Bytes to OSC messages and back (Open Sound Control 1.0; 1.1 for the types), safe against what a network may send.

python-osc reads single messages here and nothing more. Its dispatcher makes a regular expression of every address, and
46 bytes hold it for seconds; its bundles follow a negative size backwards for ever; its blobs do too, once. So bundles
are taken apart here, and a message's types are looked at before it is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

Argument = str | int | float | bool

MAX_PACKET_BYTES = 65_507
"""Bytes of a UDP datagram, and of a packet over TCP."""
MAX_MESSAGES = 64
"""Of one packet."""
DEEPEST_BUNDLE = 8

BUNDLE = b"#bundle\0"
_HEADER = len(BUNDLE) + 8  # and the time tag
TYPES = frozenset("sifhdTF")
"""Strings, integers, floats, truth values: what the bridge's messages are made of."""


class PacketError(Exception):
    """A packet that is not read, and why."""


@dataclass(frozen=True)
class Message:
    """One message: an address, literally, and its arguments."""

    address: str
    arguments: tuple[Argument, ...] = ()


def read(packet: bytes) -> list[Message]:
    """The messages of a packet, those of bundles in their order, now: a time tag is not waited for.

    Raises:
        PacketError: it is not OSC, or has types that the bridge does not know, or is larger than anything sensible.
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
    """The bytes of a message. A whole number beyond 32 bits is sent as 64, any other number as a 32-bit float.

    Raises:
        PacketError: it cannot be said in OSC.
    """
    builder = OscMessageBuilder(message.address)
    try:
        for argument in message.arguments:
            builder.add_arg(argument)
        return bytes(builder.build().dgram)
    except (BuildError, ParseError, ValueError, OverflowError) as error:
        raise PacketError(f"{message.address} cannot be sent: {error}") from error


def _elements(packet: bytes, depth: int) -> Iterator[bytes]:
    """The messages' bytes of a packet."""
    if not packet.startswith(BUNDLE):
        yield packet
        return
    if depth == DEEPEST_BUNDLE:
        raise PacketError(f"bundles within bundles, more than {DEEPEST_BUNDLE} deep")
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
        raise PacketError(f"types that are not known here: {', '.join(sorted(unknown))}")
    try:
        message = OscMessage(packet)
        return Message(message.address, tuple(message.params))
    except (ParseError, UnicodeDecodeError) as error:
        raise PacketError("a message that is cut off or not UTF-8") from error
