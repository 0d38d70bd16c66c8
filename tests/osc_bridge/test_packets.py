"""Packets: those of other programs are read, and everything else is refused, quickly."""

import contextlib
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import build_msg

from osc_bridge.packets import BUNDLE, Message, PacketError, read, write

NOW = b"\0\0\0\0\0\0\0\1"

arguments = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    st.booleans(),
)


def bundle(*elements: bytes, tag: bytes = NOW) -> bytes:
    return BUNDLE + tag + b"".join(struct.pack(">i", len(element)) + element for element in elements)


@given(st.lists(arguments, max_size=8))
def test_what_is_written_is_read(values):
    message = Message("/omniaudio/generate", tuple(values))
    assert read(write(message)) == [message]


def test_python_oscs_own_bundle_is_read():
    builder = OscBundleBuilder(IMMEDIATELY)
    for value in ("a", 1, 2.5):
        builder.add_content(build_msg("/x", [value]))
    assert read(builder.build().dgram) == [Message("/x", ("a",)), Message("/x", (1,)), Message("/x", (2.5,))]


def test_bundles_within_bundles_keep_their_order_and_are_not_waited_for():
    one, two, three = (write(Message("/x", (number,))) for number in (1, 2, 3))
    far_future = b"\xff" * 8
    nested = bundle(one, bundle(two, tag=far_future), three, tag=far_future)
    assert [message.arguments for message in read(nested)] == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "neither"),
        (b"hello", "neither"),
        (b"/x", "without an end"),
        (b"/x\0\0i\0\0\0", "without types"),
        (b"/x\0\0,i\0\0", "cut off"),
        (b"/\xff\xfe\0,\0\0\0", "UTF-8"),
        (b"/x\0\0,b\0\0\xff\xff\xff\xf0", "unknown types"),
        (b"/x\0\0,[[[\0\0\0\0", "unknown types"),
        (BUNDLE + b"\0\0", "time tag"),
        (BUNDLE + NOW + b"\xff\xff\xff\xfc", "sizes"),
        (BUNDLE + NOW + b"\0\0\0\0", "sizes"),
        (BUNDLE + NOW + b"\x7f\xff\xff\xff", "sizes"),
        (BUNDLE + NOW + b"\0", "sizes"),
        (bundle(*[b"/x\0\0,\0\0\0"] * 65), "more than 64 messages"),
        (b"/x\0\0,s\0\0" + bytes(66_000), "too many"),
    ],
)
def test_what_is_no_message_is_refused_with_its_reason(packet, reason):
    with pytest.raises(PacketError, match=reason):
        read(packet)


def test_bundles_too_deep_are_refused():
    packet = write(Message("/x"))
    for _ in range(1000):
        packet = bundle(packet)
    with pytest.raises(PacketError, match="deep"):
        read(packet)


@given(st.binary(max_size=256))
def test_no_bytes_raise_anything_else(packet):
    with contextlib.suppress(PacketError):
        read(packet)


@given(st.binary(max_size=64), st.binary(max_size=64), st.sampled_from([b",s", b",i", b",ssi", b",b", b",sf", b",T"]))
def test_no_message_like_bytes_raise_anything_else(address, body, types):
    for packet in (b"/" + address + b"\0" + types + b"\0" + body, bundle(b"/" + address, types + body)):
        with contextlib.suppress(PacketError):
            read(packet)


@pytest.mark.parametrize(
    "packet",
    [
        b"/foa/" + b"*" * 40 + b"X\0\0\0,\0\0\0",
        bundle(b"/x\0\0,\0\0\0")[:-12] + b"\xff\xff\xff\xfc" * 2000,
        b"/x\0\0," + b"s" * 30_000 + b"\0" * 4 + b"a" * 30_000,
        b"/x\0\0," + b"i" * 30_000 + bytes(35_000),
    ],
)
def test_no_packet_holds_the_reader(packet):
    began = time.process_time()
    with contextlib.suppress(PacketError):
        read(packet)
    # The dispatcher of python-osc takes over ten seconds for the first one, and its bundles never end.
    assert time.process_time() - began < 0.5
