"""The boxes of 360° and of spatial audio, byte by byte, and chunks that are found again after the index has grown."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniaudio.video.mp4_boxes import (
    Box,
    add_to_frame,
    equirectangular,
    mark_spatial,
    parse,
    shift_offsets,
    spatial_audio,
    spherical_v1,
    stereo_layout,
)


def test_spatial_audio_is_as_the_specification_lays_it_out() -> None:
    box = bytes(spatial_audio())
    assert struct.unpack(">I4s", box[:8]) == (36, b"SA3D")
    version, periphonic, order, acn, sn3d, channels = struct.unpack(">BBIBBI", box[8:20])
    assert (version, periphonic, order, acn, sn3d, channels) == (0, 0, 1, 0, 0, 4)
    assert struct.unpack(">4I", box[20:]) == (0, 1, 2, 3)


def test_spherical_boxes() -> None:
    assert bytes(stereo_layout("top-bottom")) == struct.pack(">I4sIB", 13, b"st3d", 0, 1)
    sphere = bytes(equirectangular())
    assert len(sphere) == int.from_bytes(sphere[:4], "big")
    assert [sphere.index(kind) for kind in (b"sv3d", b"svhd", b"proj", b"prhd", b"equi")] == [4, 12, 46, 54, 78]
    assert sphere[82:] == bytes(20)
    xml = bytes(spherical_v1("side-by-side"))
    assert xml[8:24].hex() == "ffcc8263f8554a938814587a02521fdd"
    assert b"<GSpherical:StereoMode>left-right</GSpherical:StereoMode>" in xml


def track(handler: bytes, table: Box) -> Box:
    entry = Box(b"stsd", struct.pack(">II", 0, 1), [Box(b"avc1", bytes(78))])
    samples = Box(b"minf", boxes=[Box(b"stbl", boxes=[entry, table])])
    return Box(b"trak", boxes=[Box(b"mdia", boxes=[Box(b"hdlr", bytes(8) + handler + bytes(12)), samples])])


def test_chunks_are_where_the_index_says(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mov", tmp_path / "b.mov"
    handlers = (b"vide", b"soun")
    begin = bytes(Box(b"ftyp", b"qt  " + bytes(4)))
    chunks = b"".join(handler * 2 for handler in handlers)
    first = len(begin) + 16  # A size of 64 bits, as FFmpeg writes it from 4 GB on.
    tracks = [
        track(handler, Box(b"stco", struct.pack(">III", 0, 1, first + 8 * place)))
        for place, handler in enumerate(handlers)
    ]
    media = struct.pack(">I4sQ", 1, b"mdat", 16 + len(chunks)) + chunks
    source.write_bytes(begin + media + bytes(Box(b"moov", boxes=tracks)))
    copied: list[int] = []
    mark_spatial(source, target, "mono", copied.append)
    assert sum(copied) == len(begin) + len(media)
    made = target.read_bytes()
    (size,) = struct.unpack_from(">I", made, len(begin))
    (moov,) = parse(made[len(begin) : len(begin) + size])
    for handler, one in zip(handlers, moov.boxes, strict=True):
        (offset,) = struct.unpack_from(">I", one.find(b"mdia", b"minf", b"stbl", b"stco").content, 8)
        assert made[offset : offset + 8] == handler * 2
        entry = one.find(b"mdia", b"minf", b"stbl", b"stsd").boxes[0]
        assert (b"SA3D" if handler == b"soun" else b"sv3d") in entry.content
        assert any(box.kind == b"uuid" for box in one.boxes) == (handler == b"vide")


@given(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=40), st.lists(st.integers(0, 1 << 40), max_size=5))
def test_offsets_beyond_4_gb_get_64_bits(narrow: list[int], wide: list[int]) -> None:
    moov = Box(
        b"moov",
        boxes=[
            track(b"vide", Box(b"stco", struct.pack(f">II{len(narrow)}I", 0, len(narrow), *narrow))),
            track(b"soun", Box(b"co64", struct.pack(f">II{len(wide)}Q", 0, len(wide), *wide))),
        ],
    )
    shift_offsets(moov)
    grown = len(bytes(moov))
    for before, one in zip((narrow, wide), moov.boxes, strict=True):
        (table,) = [box for box in one.walk() if box.kind in {b"stco", b"co64"}]
        letter = "I" if table.kind == b"stco" else "Q"
        _, count, *offsets = struct.unpack(f">II{len(before)}{letter}", table.content)
        assert (count, offsets) == (len(before), [offset + grown for offset in before])


@pytest.mark.parametrize("data", [b"\0\0\0\x04moov", b"\0\0\0\x20moov1234", b"\0\0\0"])
def test_a_damaged_index(data: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        parse(data)


def test_video_boxes_come_before_what_ends_its_sample_entry() -> None:
    """QuickTime ends a list of boxes by four zeros, as FFmpeg does for DNxHD: behind them no reader looks."""
    fields, inner = bytes(range(78)), bytes(Box(b"pasp", bytes(8)))
    for end in (b"", bytes(4)):
        entry = Box(b"AVdn", fields + inner + end)
        add_to_frame(entry, b"new")
        assert entry.content == fields + inner + b"new" + end
