"""Still images in every depth, mode and layout that cameras and Blender write; too large and damaged files."""

import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from omniaudio.errors import ExitCode, UserError
from omniaudio.video.stills import read_still

RAMP = np.tile(np.arange(256, dtype=np.uint8), (128, 1))
"""An image that goes from black to white."""
LINEAR = np.where(RAMP <= 10, RAMP / 255 / 12.92, ((RAMP / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""The light that it shows."""


def check_ramp(path: Path, tolerance: int = 0) -> None:
    """That a file shows the ramp."""
    rgb = read_still(path)
    assert rgb.shape == (128, 256, 3)
    assert np.abs(rgb.astype(int) - RAMP[..., None]).max() <= tolerance


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_still(path)
    assert caught.value.code == ExitCode.NOT_A_VIDEO
    assert path.name in str(caught.value)
    return str(caught.value)


# --- Depths and modes -----------------------------------------------------------------------------------------------

WIDE = RAMP.astype(np.uint16) * 257


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("16.png", WIDE),
        ("16.tif", WIDE),
        ("big_endian_16.tif", WIDE.astype(">u2")),
        ("float.tif", LINEAR),
        ("32.tif", RAMP.astype(np.int32) << 23),
        ("16_in_32.tif", WIDE.astype(np.int32)),
        ("8_in_32.tif", RAMP.astype(np.int32)),
    ],
)
def test_deep_grey(tmp_path: Path, name: str, values: npt.NDArray[Any]) -> None:
    Image.fromarray(values).save(tmp_path / name)
    check_ramp(tmp_path / name)


def write_tiff(path: Path, values: npt.NDArray[Any], bits: int, photometric: int, sample_format: int) -> None:
    """A TIFF that Pillow does not write: little-endian, a single strip."""
    data = values.tobytes()
    tags = {
        256: 256,
        257: 128,
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: 128,
        279: len(data),
        339: sample_format,
    }
    entries = b"".join(np.array([tag, 4], "<u2").tobytes() + np.array([1, tags[tag]], "<u4").tobytes() for tag in tags)
    head = b"II*\0" + np.array([8 + len(data)], "<u4").tobytes()
    path.write_bytes(head + data + np.array([len(tags)], "<u2").tobytes() + entries + bytes(4))


def twelve_bits() -> npt.NDArray[np.uint8]:
    pairs = (RAMP.astype(np.uint16) << 4 | RAMP >> 4).reshape(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
    return packed.astype(np.uint8)


@pytest.mark.parametrize(
    ("values", "bits", "photometric", "sample_format"),
    [
        (65535 - WIDE, 16, 0, 1),
        ((WIDE >> 1).astype("<i2"), 16, 1, 2),
        (twelve_bits(), 12, 1, 1),
        (RAMP.astype("<u4") << 24, 32, 1, 1),
        (RAMP.astype("<i4") << 23, 32, 1, 2),
    ],
    ids=["white is zero", "signed 16", "12", "unsigned 32", "signed 32"],
)
def test_deep_grey_as_scanners_write_it(
    tmp_path: Path, values: npt.NDArray[Any], bits: int, photometric: int, sample_format: int
) -> None:
    write_tiff(tmp_path / "still.tif", values, bits, photometric, sample_format)
    check_ramp(tmp_path / "still.tif")


@pytest.mark.parametrize(
    "name",
    [
        "L.png",
        "LA.png",
        "LA.tif",
        "P.png",
        "P.bmp",
        "RGBA.png",
        "RGBA.webp",
        "CMYK.tif",
        "CMYK.jpg",
        "YCbCr.jpg",
        "RGB.avif",
    ],
)
def test_every_mode(tmp_path: Path, name: str) -> None:
    image, mode = Image.fromarray(RAMP), Path(name).stem
    if mode == "CMYK":  # By its black alone.
        image = Image.merge("CMYK", [*[Image.new("L", image.size)] * 3, Image.fromarray(255 - RAMP)])
    image.convert(mode).save(tmp_path / name, lossless=True, quality=100)
    check_ramp(tmp_path / name, tolerance=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RAMP > 99).save(tmp_path / f"still.{suffix}")
    assert np.array_equal(read_still(tmp_path / f"still.{suffix}")[..., 1], np.where(RAMP > 99, 255, 0))


# --- OpenEXR --------------------------------------------------------------------------------------------------------

Channels = Mapping[str, npt.NDArray[Any]]
COLOURS = {"R": LINEAR, "G": np.ascontiguousarray(LINEAR[:, ::-1]), "B": LINEAR * 0.5}
OTHER = np.full_like(LINEAR, 0.25)


def layer(name: str, channels: Channels = COLOURS) -> dict[str, npt.NDArray[Any]]:
    return {f"{name}.{kind}": values for kind, values in channels.items()}


def write_exr(path: Path, *parts: Channels, **header: Any) -> Path:
    written = [
        OpenEXR.Part({"compression": OpenEXR.ZIP_COMPRESSION, **header}, dict(part), f"part {number}")
        for number, part in enumerate(parts)
    ]
    OpenEXR.File(written).write(str(path))
    return path


def check_colours(rgb: npt.NDArray[np.uint8]) -> None:
    assert rgb.shape == (128, 256, 3)
    assert np.abs(rgb[..., 0].astype(int) - RAMP).max() <= 1
    assert np.abs(rgb[..., 1].astype(int) - RAMP[:, ::-1]).max() <= 1
    assert abs(int(rgb[0, -1, 2]) - 188) <= 1


def noise(kinds: str) -> Channels:
    return dict.fromkeys(kinds, OTHER)


@pytest.mark.parametrize(
    "parts",
    [
        [COLOURS],
        [{**COLOURS, "A": OTHER, "Z": OTHER}],
        [layer("ViewLayer.Combined", {**COLOURS, "A": OTHER})],
        [
            {
                **layer("ViewLayer.Combined"),
                **layer("ViewLayer.AO", noise("RGB")),
                **layer("ViewLayer.Depth", noise("Z")),
            }
        ],
        [{**layer("1st layer.Combined"), **layer("2nd layer.Combined", noise("RGB"))}],
        [{**COLOURS, **layer("AO", noise("RGB")), **layer("Z.Combined", noise("RGB"))}],
        [layer("ViewLayer.AO", noise("RGB")), layer("ViewLayer.Combined"), layer("ViewLayer.Vector", noise("XYZW"))],
        [noise("Z"), layer("beauty")],
        [layer("Szene.Vor.Combined.left"), layer("Szene.Vor.Combined.right", noise("RGB"))],
        [{kind.lower(): values for kind, values in layer("C").items()}],
    ],
    ids=["RGB", "RGBAZ", "MultiLayer", "passes", "view layers", "unnamed", "parts", "beauty", "stereo", "lower case"],
)
def test_the_layer_with_the_image(tmp_path: Path, parts: list[Channels]) -> None:
    check_colours(read_still(write_exr(tmp_path / "still.exr", *parts)))


@pytest.mark.parametrize(
    "compression",
    ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB", "HTJ2K32", "HTJ2K256"],
)
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_every_compression(tmp_path: Path, compression: str, kind: type) -> None:
    values = LINEAR.astype(kind)
    path = tmp_path / "still.exr"
    write_exr(path, {"R": values, "G": values, "B": values}, compression=getattr(OpenEXR, f"{compression}_COMPRESSION"))
    check_ramp(path, tolerance=6 if compression[0] in "BD" else 1)


@pytest.mark.parametrize("name", ["Y", "V", "ViewLayer.Combined.V"])
def test_a_single_channel(tmp_path: Path, name: str) -> None:
    """Blender's BW is V."""
    normals = layer("ViewLayer.Normal", noise("XYZ"))
    check_ramp(write_exr(tmp_path / "still.exr", {name: LINEAR, **normals}), tolerance=1)


def test_a_part_of_the_display_window(tmp_path: Path) -> None:
    """A render border leaves what is outside black; an overscan is cut."""

    def window(left: int, top: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        return np.array([left, top], np.int32), np.array([left + 255, top + 127], np.int32)

    path = write_exr(tmp_path / "still.exr", COLOURS, dataWindow=window(0, 0), displayWindow=window(16, -8))
    rgb = read_still(path)
    assert rgb.shape == (128, 256, 3)
    assert not rgb[:8].any()
    assert not rgb[:, 240:].any()
    assert np.abs(rgb[8:, :240, 0].astype(int) - RAMP[8:, 16:]).max() <= 1


def test_light_that_no_screen_shows(tmp_path: Path) -> None:
    light = np.resize(np.array([np.nan, -1, np.inf, 7, 1e30], np.float32), (128, 256))
    seen = read_still(write_exr(tmp_path / "still.exr", dict.fromkeys("RGB", light)))
    assert seen[0, :5, 0].tolist() == [0, 0, 255, 255, 255]


@pytest.mark.parametrize("channels", [noise("Z"), layer("ViewLayer.Normal", noise("XYZ")), layer("UV", noise("UVA"))])
def test_no_image_among_the_layers(tmp_path: Path, channels: Channels) -> None:
    assert "neither RGB nor grey" in refused(write_exr(tmp_path / "still.exr", channels))


def test_a_truncated_file(tmp_path: Path) -> None:
    path = write_exr(tmp_path / "still.exr", COLOURS)
    path.write_bytes(path.read_bytes()[:-500])
    assert "truncated" in refused(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.sampled_from(["exr", "png", "tif", "jpg", "webp"]), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)))
)
def test_damage_is_no_traceback(tmp_path: Path, suffix: str, damage: list[tuple[float, bytes]]) -> None:
    path = tmp_path / f"still.{suffix}"
    if suffix == "exr":
        write_exr(path, layer("ViewLayer.Combined"))
    else:
        Image.fromarray(RAMP).save(path)
    data = bytearray(path.read_bytes())
    for place, changed in damage:
        start = int(place**4 * len(data))  # Mostly in the header.
        data[start : start + len(changed)] = changed
    path.write_bytes(data)
    with suppress(UserError):
        read_still(path)


# --- Sizes ----------------------------------------------------------------------------------------------------------


def write_large_png(path: Path, width: int, height: int) -> None:
    """A small one whose header says so."""
    Image.fromarray(RAMP).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)


def write_large_exr(path: Path, width: int, height: int) -> None:
    write_exr(path, COLOURS, displayWindow=(np.array([0, 0], np.int32), np.array([width - 1, height - 1], np.int32)))


def write_large_radiance(path: Path, width: int, height: int) -> None:
    path.write_bytes(f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode() + bytes(64))


@pytest.mark.parametrize("size", [(16386, 8193), (20000, 10000)])
@pytest.mark.parametrize(
    ("suffix", "write"), [("png", write_large_png), ("exr", write_large_exr), ("hdr", write_large_radiance)]
)
def test_too_many_pixels(
    tmp_path: Path, suffix: str, write: Callable[[Path, int, int], None], size: tuple[int, int]
) -> None:
    write(tmp_path / f"still.{suffix}", *size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "16384×8192 or less" in refused(tmp_path / f"still.{suffix}")


def test_a_large_image_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RAMP.size - 1)  # Pillow's own limit is 89 megapixels.
    Image.fromarray(RAMP).save(tmp_path / "still.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_ramp(tmp_path / "still.png")
