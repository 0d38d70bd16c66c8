"""Clips that are accepted as the whole sphere or refused: by tags, by shape, and by several frames."""

import logging
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from omniaudio.analysis.inspect import as_text, describe
from omniaudio.errors import ExitCode
from omniaudio.video.clip import Clip
from omniaudio.video.panorama import Rgb
from omniaudio.video.pose import Pose
from omniaudio.video.probe import probe
from omniaudio.video.sphere import check_sphere, why_no_sphere
from support.errors import refusal
from support.mp4_boxes import box, equi, posed_sv3d, put_boxes, st3d, sv3d
from support.projections import half, panorama, photograph, resized
from support.videos import write_video

BLACK = np.zeros((216, 384, 3), np.uint8)


def test_a_stretched_video_is_the_whole_sphere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As YouTube serves 360° video: 16:9 and without tags."""
    path = write_video(tmp_path / "clip.mp4", [resized(panorama(), 384, 216)] * 3)
    info = probe(path)
    assert (info.frame_width, info.frame_height) == (384, 192)
    assert info.aspect == pytest.approx(16 / 9)
    with caplog.at_level(logging.WARNING):
        check_sphere(Clip(path))
    assert [record.getMessage() for record in caplog.records] == [
        "clip.mp4 is 1.78:1 and shows the whole sphere; it is treated as a stretched 2:1 panorama."
    ]
    image = Clip(path).frame_at()
    assert image.shape == (192, 384, 3)
    assert np.abs(image.astype(int) - resized(panorama(), 384, 192)).mean() < 4
    assert "stretched from 1.78:1" in as_text(describe(path)).renderables[0].columns[1]._cells[1].plain  # type: ignore[union-attr]


def test_a_flat_video_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [photograph(216, 384)] * 3)
    reason = "it is 1.78:1 and not 2:1, and its left and right edges do not meet"
    assert why_no_sphere(Clip(path)) == reason
    assert reason in refusal(ExitCode.NOT_360, lambda: check_sphere(Clip(path)))


def test_the_first_frame_may_be_black(tmp_path: Path) -> None:
    sphere, flat = resized(panorama(), 384, 216), photograph(216, 384)
    assert why_no_sphere(Clip(write_video(tmp_path / "a.mp4", [BLACK] * 4 + [sphere] * 16))) is None
    assert why_no_sphere(Clip(write_video(tmp_path / "b.mp4", [BLACK] * 4 + [flat] * 16))) is not None
    assert "nothing in it" in str(why_no_sphere(Clip(write_video(tmp_path / "c.mp4", [BLACK] * 5))))
    wide = np.zeros((180, 360, 3), np.uint8)
    assert why_no_sphere(Clip(write_video(tmp_path / "d.mp4", [wide] * 4 + [photograph(180, 360)] * 16))) is not None


def test_tags_decide_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [BLACK] * 3)
    put_boxes(path, entry=sv3d(equi()))
    assert why_no_sphere(Clip(path)) is None
    assert Clip(path).frame_at().shape == (192, 384, 3)


def test_a_mesh_is_half_a_sphere(tmp_path: Path) -> None:
    """Google's VR180 in MP4, which FFmpeg does not report."""
    path = write_video(tmp_path / "clip.mp4", [np.hstack([half(), half()])] * 3)
    put_boxes(path, entry=st3d(2) + sv3d(box(b"mshp", bytes(4), bytes(8))))
    assert probe(path).projection == "mesh"
    assert why_no_sphere(Clip(path)) == "its metadata declare half a sphere (VR180)"


@pytest.mark.parametrize("width", [360, 384])
def test_vr180_by_its_frames(tmp_path: Path, width: int) -> None:
    pair = np.hstack([resized(half(), width // 2, 180)] * 2)
    Image.fromarray(pair).save(tmp_path / "still.png")
    assert "VR180" in str(why_no_sphere(Clip(tmp_path / "still.png")))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 9), (4, 2), (9, 1), (1, 400), (400, 1)])
def test_tiny_frames_are_refused(tmp_path: Path, width: int, height: int) -> None:
    Image.new("RGB", (width, height), (90, 80, 70)).save(tmp_path / "still.png")
    message = refusal(ExitCode.NOT_360, lambda: check_sphere(Clip(tmp_path / "still.png")))
    assert message.startswith("This is not a 360° panorama: ")
    assert Clip(tmp_path / "still.png").frame_at().size


@pytest.mark.parametrize(("width", "height", "words"), [(180, 320, "0.56:1"), (600, 180, "3.33:1")])
def test_other_shapes_are_refused_by_their_shape(tmp_path: Path, width: int, height: int, words: str) -> None:
    Image.fromarray(resized(panorama(), width, height)).save(tmp_path / "still.png")
    assert words in refusal(ExitCode.NOT_360, lambda: check_sphere(Clip(tmp_path / "still.png")))


# --- Pose and rotation ------------------------------------------------------------------------------------------------


def column(azimuth: float) -> Rgb:
    """Black, with a white column at an azimuth in degrees."""
    image = np.zeros((64, 128, 3), np.uint8)
    at = round((0.5 - azimuth / 360) * 128)
    image[:, at - 2 : at + 2] = 255
    return image


def where(image: Rgb) -> float:
    """The azimuth of the column, in degrees."""
    light = image.astype(float).mean(axis=(0, 2))
    return (0.5 - (light @ np.arange(128) / light.sum() + 0.5) / 128) * 360


def test_the_pose_of_an_mp4_rotates_the_sphere(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [column(20)] * 3)
    put_boxes(path, entry=posed_sv3d(90))
    assert probe(path).pose == Pose(90, 0, 0)
    assert where(Clip(path).frame_at()) == pytest.approx(110, abs=2)


def as_matroska(source: Path) -> Path:
    """The same packets and tags in Matroska."""
    target = source.with_suffix(".mkv")
    with av.open(source) as video, av.open(target, "w") as out:
        track = out.add_stream_from_template(video.streams.video[0])
        for packet in video.demux(video.streams.video[0]):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    return target


def test_the_pose_of_a_matroska_file_rotates_the_sphere(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [column(20)] * 3)
    put_boxes(path, entry=posed_sv3d(90))
    matroska = as_matroska(path)
    assert (probe(matroska).projection, probe(matroska).pose) == ("equirectangular", Pose(90, 0, 0))
    assert where(Clip(matroska).frame_at()) == pytest.approx(110, abs=2)


def test_a_mesh_in_matroska(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [column(20)] * 3)
    put_boxes(path, entry=posed_sv3d(90))
    matroska = as_matroska(path)
    data = matroska.read_bytes()
    assert data.count(b"\x76\x71\x81\x01") == 1
    matroska.write_bytes(data.replace(b"\x76\x71\x81\x01", b"\x76\x71\x81\x03"))
    assert probe(matroska).projection == "mesh"


def test_the_initial_view_is_not_a_pose(tmp_path: Path) -> None:
    """FFmpeg reports the first version's initial view as a pose."""
    path = write_video(tmp_path / "clip.mp4", [column(20)] * 3)
    xml = (
        b'<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        b'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">'
        b"<GSpherical:Spherical>true</GSpherical:Spherical><GSpherical:Stitched>true</GSpherical:Stitched>"
        b"<GSpherical:StitchingSoftware>test</GSpherical:StitchingSoftware>"
        b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>"
        b"<GSpherical:InitialViewHeadingDegrees>90</GSpherical:InitialViewHeadingDegrees></rdf:SphericalVideo>"
    )
    put_boxes(path, track=box(b"uuid", bytes.fromhex("ffcc8263f8554a938814587a02521fdd"), xml))
    assert (probe(path).projection, probe(path).pose) == ("equirectangular", None)
    assert where(Clip(path).frame_at()) == pytest.approx(20, abs=2)


def set_matrix(path: Path, *numbers: int) -> None:
    """Writes the display matrix of an MP4's only track."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", *numbers)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("numbers", "azimuth", "usable"),
    [
        ((0,) * 9, 30, False),
        ((46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30), 30, False),
        ((-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), -30, True),
        ((-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30), -30, True),
    ],
)
def test_display_matrices(tmp_path: Path, numbers: tuple[int, ...], azimuth: float, usable: bool) -> None:
    """GoPro's zeros and 45° are ignored and reported; a mirrored frame is mirrored back."""
    path = write_video(tmp_path / "clip.mp4", [column(30)] * 3)
    set_matrix(path, *numbers)
    info = probe(path)
    assert info.rotation_usable is usable
    assert (info.frame_width, info.frame_height) == (128, 64)
    assert where(Clip(path).frame_at()) == pytest.approx(azimuth, abs=2)


# --- Streams ----------------------------------------------------------------------------------------------------------


def write_two(path: Path, sizes: list[tuple[int, int]], default: int | None) -> Path:
    with av.open(path, "w") as container:
        streams = []
        for place, (width, height) in enumerate(sizes):
            stream = container.add_stream("libx264", rate=10)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = int(place == default)  # type: ignore[assignment]
            streams.append(stream)
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(np.full((stream.height, stream.width, 3), 90, np.uint8))
            frame.pts, frame.time_base = 0, Fraction(1, 10)
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "sizes", "default", "wanted"),
    [
        ("clip.mp4", [(80, 60), (128, 64)], 1, (128, 64)),
        ("clip.mkv", [(80, 60), (128, 64)], 1, (128, 64)),
        ("clip.mkv", [(128, 64), (160, 120)], 0, (128, 64)),
        ("clip.mkv", [(160, 120), (128, 64), (64, 32)], None, (128, 64)),
    ],
)
def test_the_stream_that_is_chosen(
    tmp_path: Path, name: str, sizes: list[tuple[int, int]], default: int | None, wanted: tuple[int, int]
) -> None:
    info = probe(write_two(tmp_path / name, sizes, default))
    assert (info.width, info.height) == wanted
