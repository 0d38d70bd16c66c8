"""Photo sphere metadata in every form that XMP has, and in what is no XMP."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from omniaudio.video.gpano import GPano, parse_gpano
from omniaudio.video.stills import read_described_still

URI = "http://ns.google.com/photos/1.0/panorama/"
THETA = {
    "ProjectionType": "equirectangular",
    "CroppedAreaImageWidthPixels": "1024",
    "FullPanoWidthPixels": "1024",
    "CroppedAreaImageHeightPixels": "512",
    "FullPanoHeightPixels": "512",
    "PoseHeadingDegrees": "225.0",
    "PosePitchDegrees": "-3.5",
    "PoseRollDegrees": "7",
}
WANTED = GPano("equirectangular", 225.0, -3.5, 7.0)


def packet(inside: str, attributes: str = "", prefix: str = "GPano") -> str:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'<rdf:Description rdf:about="" xmlns:{prefix}="{URI}" {attributes}>{inside}</rdf:Description>\n'
        '</rdf:RDF></x:xmpmeta>\n   \n<?xpacket end="w"?>'
    )


def attributes(values: dict[str, str], prefix: str = "GPano") -> str:
    return packet("", " ".join(f'{prefix}:{name}="{value}"' for name, value in values.items()), prefix)


def elements(values: dict[str, str], prefix: str = "GPano") -> str:
    """As Ricoh's cameras and ExifTool write it."""
    lines = (f"  <{prefix}:{name}>\n {value}</{prefix}:{name}>\n" for name, value in values.items())
    return packet("\n" + "".join(lines), prefix=prefix)


@pytest.mark.parametrize("form", [attributes, elements])
@pytest.mark.parametrize("prefix", ["GPano", "ns2"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_form(form: Callable[[dict[str, str], str], str], prefix: str, encoding: str) -> None:
    assert parse_gpano(form(THETA, prefix).encode(encoding) + b"\0\0") == WANTED
    assert parse_gpano(form(THETA, prefix)) == WANTED


def test_a_prefix_that_is_not_bound() -> None:
    assert parse_gpano('<rdf:Description GPano:ProjectionType="equirectangular"/>') == GPano(
        "equirectangular", None, None, None
    )


@pytest.mark.parametrize(
    ("changed", "projection"),
    [
        ({"CroppedAreaImageWidthPixels": "512"}, "cropped equirectangular"),
        ({"CroppedAreaImageHeightPixels": "256.0"}, "cropped equirectangular"),
        ({"CroppedAreaImageWidthPixels": "1024.0"}, "equirectangular"),
        ({"CroppedAreaImageWidthPixels": " 1023 "}, "equirectangular"),  # A stitcher's rounding.
        ({"FullPanoWidthPixels": "wide"}, "equirectangular"),
        ({"ProjectionType": "Equirectangular"}, "equirectangular"),
        ({"ProjectionType": "cylindrical"}, "cylindrical"),
        ({"ProjectionType": ""}, None),
    ],
)
def test_the_projection(changed: dict[str, str], projection: str | None) -> None:
    for form in (attributes, elements):
        found = parse_gpano(form({**THETA, **changed}))
        assert found is not None
        assert found.projection == projection


@pytest.mark.parametrize("value", ["north", "nan", "-inf", "1e400", "361", ""])
def test_an_angle_that_is_none(value: str) -> None:
    assert parse_gpano(elements({**THETA, "PoseHeadingDegrees": value})) == WANTED._replace(heading=None)


def test_bytes_of_another_encoding_hide_nothing_else() -> None:
    latin = elements({**THETA, "StitchingSoftware": "é"}).encode().replace("é".encode(), b"\xe9")
    assert parse_gpano(latin) == WANTED
    broken = elements(THETA).encode().replace(b"equirect", b"equi\xff\xferect")
    assert parse_gpano(broken) == WANTED._replace(projection=None)


@pytest.mark.parametrize("xmp", [b"", b"\0", b"<", b"<x", b"<a>&none;</a>", elements(THETA).encode()[:-60]])
def test_what_is_no_xml_declares_nothing(xmp: bytes) -> None:
    assert parse_gpano(xmp) is None


def test_entities_are_not_expanded_without_end() -> None:
    more = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    assert parse_gpano(f'<!DOCTYPE a [<!ENTITY e0 "0123456789">{more}]><a>&e11;</a>') is None


@given(st.binary() | st.text() | st.text().map(lambda text: elements({**THETA, "ProjectionType": text})))
def test_no_packet_raises(xmp: bytes | str) -> None:
    parse_gpano(xmp)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
@pytest.mark.parametrize("form", [attributes, elements])
def test_every_kind_of_file(tmp_path: Path, suffix: str, form: Callable[[dict[str, str]], str]) -> None:
    xmp, path, text = form(THETA).encode(), tmp_path / f"still.{suffix}", PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
    own = {"png": {"pnginfo": text}, "tif": {"tiffinfo": {700: xmp}}}.get(suffix, {"xmp": xmp})
    Image.new("RGB", (64, 32)).save(path, **own)  # type: ignore[arg-type]
    assert read_described_still(path)[1] == WANTED


def test_metadata_behind_the_pixels(tmp_path: Path) -> None:
    """As some editors add them to a PNG."""
    path = tmp_path / "still.png"
    Image.new("RGB", (64, 32)).save(path)
    chunk = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + elements(THETA).encode()
    whole, end = path.read_bytes()[:-12], path.read_bytes()[-12:]
    path.write_bytes(whole + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end)
    assert read_described_still(path)[1] == WANTED
