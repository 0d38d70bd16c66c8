"""Clips: files of many kinds, written by PyAV and read at other rates; broken files, and what is not a clip."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image

from omniaudio.errors import ExitCode
from omniaudio.video.clip import Clip, frame_times, nearest
from omniaudio.video.panorama import Rgb
from omniaudio.video.probe import ClipInfo, probe
from omniaudio.video.sphere import check_sphere
from omniaudio.video.time_range import time_range
from support.errors import refusal
from support.mp4_boxes import box, equi, put_boxes, st3d, sv3d
from support.videos import write_video

NTSC_24 = Fraction(24000, 1001)


def grey(level: int, width: int = 64, height: int = 32) -> Rgb:
    return np.full((height, width, 3), level, np.uint8)


def level(image: Rgb) -> float:
    return float(image.mean())


GOOGLE_V1 = box(
    b"uuid",
    bytes.fromhex("ffcc8263f8554a938814587a02521fdd"),
    b'<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    b'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">'
    b"<GSpherical:Spherical>true</GSpherical:Spherical><GSpherical:Stitched>true</GSpherical:Stitched>"
    b"<GSpherical:StitchingSoftware>test</GSpherical:StitchingSoftware>"
    b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>"
    b"<GSpherical:StereoMode>top-bottom</GSpherical:StereoMode></rdf:SphericalVideo>",
)


# --- Time -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=30, unique=True).map(sorted),
    st.lists(st.floats(0, 120), min_size=1, max_size=30).map(sorted),
)
def test_nearest_is_nearest(stamps: list[float], times: list[float]) -> None:
    chosen = list(nearest([(stamp, stamp) for stamp in stamps], times))
    assert_allclose(
        [abs(stamp - time) for stamp, time in zip(chosen, times, strict=True)],
        [min(abs(stamp - time) for stamp in stamps) for time in times],
        atol=0,
    )


def test_nearest_reads_no_further_than_needed() -> None:
    read = []

    def stamps() -> Iterator[tuple[float, int]]:
        for k in range(1000):
            read.append(k)
            yield float(k), k

    chosen = nearest(stamps(), [3.2, 7.9])
    assert next(chosen) == 3
    assert len(read) <= 6
    assert next(chosen) == 8
    assert len(read) <= 10


def test_nearest_of_stamps_that_stand_still_or_go_back() -> None:
    timed = [(0.0, "a"), (1.0, "b"), (1.0, "c"), (0.5, "d"), (2.0, "e")]
    assert list(nearest(timed, [0, 1.1, 1.2, 1.9])) == ["a", "b", "b", "e"]
    assert list(nearest([], [0, 1])) == []


@settings(deadline=None)
@given(st.floats(0.5, 60), st.floats(0, 1000), st.floats(0.01, 1000))
def test_frame_times_fill_the_range(rate: float, start: float, length: float) -> None:
    times = frame_times(rate, start, length)
    assert times[0] == start
    assert_allclose(np.diff(times), 1 / rate, rtol=1e-6)
    assert times[-1] < start + length + 1e-6
    assert times[-1] + 1 / rate > start + length - 1e-4


@pytest.mark.parametrize(
    ("rate", "length", "count"), [(8, 10, 80), (2, 40.0666, 81), (3, 1 / 3, 1), (8, 0.01, 1), (10, 0.3, 3)]
)
def test_frame_counts(rate: float, length: float, count: int) -> None:
    assert len(frame_times(rate, 0, length)) == count


# --- Rates and containers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [Fraction(24), NTSC_24, Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_any_frame_rate(tmp_path: Path, fps: Fraction) -> None:
    count = round(fps)
    path = write_video(tmp_path / "clip.mp4", [grey(20 + 200 * k // count) for k in range(count)], fps)
    info = probe(path)
    assert info.fps == fps
    assert info.duration == pytest.approx(float(count / fps), abs=1e-3)
    assert info.frames == count
    assert info.codec == "h264"
    for frame, wanted in zip(Clip(path).frames(8), frame_times(8, 0, float(count / fps)), strict=True):
        assert frame.time == wanted
        index = min(range(count), key=lambda k: abs(float(k / fps) - wanted))
        assert level(frame.image) == pytest.approx(20 + 200 * index // count, abs=3)


def test_a_variable_frame_rate(tmp_path: Path) -> None:
    times = [Fraction(k, 100) for k in (0, 4, 9, 50, 51, 52, 90, 140, 200)]
    path = write_video(tmp_path / "clip.mkv", [grey(20 + 20 * k) for k in range(len(times))], 25, times=times)
    got = [round((level(frame.image) - 20) / 20) for frame in Clip(path).frames(10, duration=1.9)]
    wanted = [min(range(len(times)), key=lambda k: abs(times[k] - Fraction(t, 10))) for t in range(19)]
    assert got == wanted


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
    ],
)
def test_containers_and_ranges(tmp_path: Path, name: str, codec: str) -> None:
    """From any start on, by key frame or from the beginning, the frames are the same as when reading the whole clip."""
    path = write_video(tmp_path / name, [grey(20 + 9 * k) for k in range(24)], 10, codec=codec)
    assert probe(path).duration == pytest.approx(2.4, abs=0.02)
    for start in (0.0, 0.1, 0.7, 1.5, 2.3):
        got = [level(frame.image) for frame in Clip(path).frames(10, start)]
        wanted = [20 + 9 * k for k in range(round(start * 10), 24)]
        assert_allclose(got, wanted, atol=4)


def test_a_range_is_checked(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [grey(90)] * 20)
    assert len(list(Clip(path).frames(4, 0.5, 1.0))) == 4
    assert "2.00 s long" in refusal(ExitCode.BAD_RANGE, lambda: Clip(path).frames(4, 2.0))
    assert "1.50 s are available" in refusal(ExitCode.BAD_RANGE, lambda: Clip(path).frames(4, 0.5, 1.7))
    for start, duration in ((-1.0, None), (float("nan"), None), (0.0, 0.0), (0.0, -2.0), (0.0, float("inf"))):
        refusal(ExitCode.BAD_RANGE, partial(Clip(path).frames, 4, start, duration))


def test_a_range_may_be_a_frame_too_long(tmp_path: Path) -> None:
    info = probe(write_video(tmp_path / "clip.mp4", [grey(90)] * 20))
    assert time_range(info, 0.5, 1.55) == (0.5, 1.5)


def test_frame_at(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [grey(20 + 20 * k) for k in range(10)])
    assert level(Clip(path).frame_at()) == pytest.approx(20, abs=3)
    assert level(Clip(path).frame_at(0.62)) == pytest.approx(140, abs=3)


def test_sound_is_seen(tmp_path: Path) -> None:
    assert probe(write_video(tmp_path / "silent.mp4", [grey(9)] * 5)).has_audio is False
    info = probe(write_video(tmp_path / "four.mp4", [grey(9)] * 5, sound_channels=4))
    assert (info.has_audio, info.audio_channels) == (True, 4)


# --- Shapes ---------------------------------------------------------------------------------------------------------


def corners(height: int, width: int) -> Rgb:
    """Red in the upper left quarter, green in the upper right, blue in the lower left, white in the lower right."""
    quarters = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return quarters.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_rotation_flag(tmp_path: Path, rotation: int) -> None:
    """A video stored rotated, with the flag that rotates it back, is read upright."""
    stored = np.ascontiguousarray(np.rot90(corners(32, 64), -rotation // 90))
    path = write_video(tmp_path / "clip.mp4", [stored] * 3, rotation=rotation)
    info = probe(path)
    assert info.rotation == rotation
    assert (info.frame_width, info.frame_height) == (64, 32)
    error = np.abs(Clip(path).frame_at().astype(int) - corners(32, 64))
    assert np.median(error) < 5


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(161, 160), (161, 80)), (Fraction(1, 2), (80, 80)), (Fraction(2), (320, 80))]
)
def test_pixel_aspect(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "clip.mp4", [corners(80, 160)] * 3, aspect=aspect)
    info = probe(path)
    assert info.pixel_aspect == aspect
    assert (info.width, info.height) == (160, 80)
    assert (info.frame_width, info.frame_height) == size
    if info.stereo == "mono":
        assert Clip(path).frame_at().shape == (size[1], size[0], 3)


def eyes(axis: int, left: int = 60, right: int = 80) -> Rgb:
    """The left eye's and the right eye's panorama, much alike, above each other (axis 0) or side by side (axis 1)."""
    ramp = np.abs(np.linspace(-40, 40, 64))[None, :, None] * np.ones((32, 1, 3))
    return np.concatenate([ramp + left, ramp + right], axis=axis).astype(np.uint8)


@pytest.mark.parametrize(("axis", "layout"), [(0, "top-bottom"), (1, "side-by-side")])
def test_stereo_is_guessed_by_shape_and_the_left_eye_used(tmp_path: Path, axis: int, layout: str) -> None:
    path = write_video(tmp_path / "clip.mp4", [eyes(axis, 60, 64)] * 3)
    info = probe(path)
    assert (info.stereo, info.stereo_declared) == (layout, False)
    image = Clip(path).frame_at()
    assert image.shape == (32, 64, 3)
    assert level(image) == pytest.approx(level(eyes(axis, 60, 60)), abs=2)


def test_a_square_image_with_unlike_halves_is_mono(tmp_path: Path) -> None:
    assert probe(write_video(tmp_path / "clip.mp4", [corners(64, 64)] * 3)).stereo == "mono"


@pytest.mark.parametrize(("mode", "axis", "layout"), [(1, 0, "top-bottom"), (2, 1, "side-by-side")])
def test_declared_stereo_in_mp4_squeezed_into_one_panoramas_shape(
    tmp_path: Path, mode: int, axis: int, layout: str
) -> None:
    whole = np.asarray(Image.fromarray(eyes(axis)).resize((128, 64)))
    path = write_video(tmp_path / "clip.mp4", [whole] * 3)
    put_boxes(path, entry=st3d(mode) + sv3d(equi()))
    info = probe(path)
    assert (info.stereo, info.stereo_declared, info.projection) == (layout, True, "equirectangular")
    image = Clip(path).frame_at()
    assert image.shape[1] == 2 * image.shape[0]
    assert level(image) == pytest.approx(level(eyes(axis, 60, 60)), abs=2)


def test_metadata_of_google_v1(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [eyes(0)] * 3)
    put_boxes(path, track=GOOGLE_V1)
    info = probe(path)
    assert (info.projection, info.stereo, info.stereo_declared) == ("equirectangular", "top-bottom", True)


@pytest.mark.parametrize(("tag", "layout"), [("top_bottom", "top-bottom"), ("left_right", "side-by-side")])
def test_stereo_in_matroska(tmp_path: Path, tag: str, layout: str) -> None:
    path = write_video(tmp_path / "clip.mkv", [eyes(1)] * 3, tags={"stereo_mode": tag})
    assert (probe(path).stereo, probe(path).stereo_declared) == (layout, True)


def test_the_left_eye_may_come_second(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", [eyes(0, left=80, right=60)] * 3, tags={"stereo_mode": "bottom_top"})
    assert probe(path).right_eye_first
    assert level(Clip(path).frame_at()) == pytest.approx(level(eyes(0, 60, 60)), abs=2)


@pytest.mark.parametrize(
    ("projection", "name"),
    [
        (equi(0x40000000, 0x40000000), "cropped equirectangular"),
        (box(b"cbmp", bytes(12)), "cubemap"),
    ],
)
def test_other_projections_are_named_and_refused(tmp_path: Path, projection: bytes, name: str) -> None:
    path = write_video(tmp_path / "clip.mp4", [grey(90)] * 3)
    put_boxes(path, entry=sv3d(projection))
    assert probe(path).projection == name
    message = refusal(ExitCode.NOT_360, lambda: check_sphere(Clip(path)))
    assert name in message


# --- Stills and sequences -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_a_still_lasts_as_long_as_requested(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"still.{suffix}"
    Image.fromarray(grey(90)).save(path)
    info = probe(path)
    assert (info.kind, info.duration, info.fps, info.frames, info.has_audio) == ("still", None, None, None, False)
    got = list(Clip(path).frames(4, 3.0, 2.5))
    assert [frame.time for frame in got] == [3 + k / 4 for k in range(10)]
    assert {round(level(frame.image)) for frame in got} == {90}
    assert level(Clip(path).frame_at(7)) == pytest.approx(90, abs=1)
    assert "--duration" in refusal(ExitCode.BAD_RANGE, lambda: Clip(path).frames(4))


def test_a_still_is_rotated_upright_and_loses_transparency(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn clockwise by a quarter.
    Image.fromarray(np.ascontiguousarray(np.rot90(corners(32, 64)))).save(tmp_path / "still.png", exif=exif)
    assert np.array_equal(Clip(tmp_path / "still.png").frame_at(), corners(32, 64))
    Image.fromarray(np.dstack([grey(90), grey(128)[..., :1]])).save(tmp_path / "alpha.png")
    assert np.array_equal(Clip(tmp_path / "alpha.png").frame_at(), grey(90))


def test_scene_linear_stills_are_shown_by_the_srgb_curve(tmp_path: Path) -> None:
    """OpenEXR, as Blender writes it: linear 0.2140 is 50 % grey on a screen; brighter than white is white."""
    light = np.zeros((32, 64, 3), np.float32)
    light[:, :32], light[:, 32:] = 0.2140, 7.0
    path = tmp_path / "still.exr"
    with av.open(path, "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "gbrpf32le"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(light, "gbrpf32le")))
        container.mux(stream.encode())
    image = Clip(path).frame_at()
    assert image.shape == (32, 64, 3)
    assert np.abs(image[:, :32].astype(int) - 127).max() <= 1
    assert (image[:, 32:] == 255).all()


@pytest.mark.parametrize(
    ("cropped", "name"), [(4000, "equirectangular"), (2000, "cropped equirectangular"), (None, "equirectangular")]
)
def test_photo_sphere_metadata(tmp_path: Path, cropped: int | None, name: str) -> None:
    size = f'GPano:CroppedAreaImageWidthPixels="{cropped}" GPano:FullPanoWidthPixels="4000"' if cropped else ""
    xmp = f'<rdf:Description GPano:ProjectionType="equirectangular" {size}/>'
    Image.fromarray(grey(90)).save(tmp_path / "still.jpg", xmp=xmp.encode())
    assert probe(tmp_path / "still.jpg").projection == name


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    folder = tmp_path / "render"
    folder.mkdir()
    for number in (8, 9, 10, 12):  # 11 is missing, and 10 sorts before 8 as text.
        Image.fromarray(grey(10 * number)).save(folder / f"frame_{number}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("name", [".", "frame_####.png", "frame_%04d.png", "frame_%d.png"])
def test_an_image_sequence(sequence: Path, name: str) -> None:
    path = sequence / name
    info = probe(path, Fraction(4))
    assert (info.kind, info.fps, info.duration, info.frames) == ("sequence", Fraction(4), 1.25, 5)
    got = [round(level(frame.image) / 10) for frame in Clip(path, Fraction(4)).frames(4)]
    assert got == [8, 9, 10, 10, 12]


def test_more_than_one_sequence_in_a_folder(sequence: Path) -> None:
    Image.fromarray(grey(9)).save(sequence / "other_1.png")
    assert "####" in refusal(ExitCode.NO_INPUT, lambda: probe(sequence))
    assert probe(sequence / "frame_#.png").frames == 5


def test_a_sequence_of_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "x_####.png", tmp_path / "nowhere" / "x_%04d.png"):
        refusal(ExitCode.NO_INPUT, partial(probe, path))


# --- Not a clip ----------------------------------------------------------------------------------------------------


def test_nothing_is_there(tmp_path: Path) -> None:
    assert "check the path" in refusal(ExitCode.NO_INPUT, lambda: probe(tmp_path / "nowhere.mp4"))


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.exr", "a.txt", "a"])
@pytest.mark.parametrize("content", [b"", b"hello " * 400])
def test_a_file_without_an_image(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert path.name in refusal(ExitCode.NOT_A_VIDEO, lambda: probe(path))


@pytest.mark.parametrize("name", ["list.exr", "list.hdr", "list.png", "list.mp4"])
def test_a_list_that_calls_itself_an_image_is_not_followed(tmp_path: Path, name: str) -> None:
    Image.fromarray(grey(90)).save(tmp_path / "secret.png")
    (tmp_path / name).write_text("ffconcat version 1.0\nfile secret.png\n")
    assert name in refusal(ExitCode.NOT_A_VIDEO, lambda: probe(tmp_path / name))


def test_postscript_that_calls_itself_an_image_is_not_run(tmp_path: Path) -> None:
    """Pillow would hand it to Ghostscript."""
    Image.fromarray(grey(90)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    assert "cannot identify image file" in refusal(ExitCode.NOT_A_VIDEO, lambda: probe(tmp_path / "a.png"))


def test_only_sound(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44100, layout="mono")
        assert isinstance(stream, av.AudioStream)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.int16), "s16", "mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
    assert "has no video stream" in refusal(ExitCode.NOT_A_VIDEO, lambda: probe(path))


def noise(count: int) -> list[Rgb]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (32, 64, 3), dtype=np.uint8) for _ in range(count)]


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", noise(30))
    path.write_bytes(path.read_bytes()[:5000])
    assert "cut off" in refusal(ExitCode.NOT_A_VIDEO, lambda: probe(path))


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.mp4"])
def test_a_file_that_is_cut_off_is_as_long_as_what_is_left(tmp_path: Path, name: str) -> None:
    whole = write_video(tmp_path / name, noise(60))
    if name == "clip.mp4":  # The index in front, as for streaming.
        with (
            av.open(whole) as source,
            av.open(tmp_path / "front.mp4", "w", options={"movflags": "faststart"}) as target,
        ):
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        whole = tmp_path / "front.mp4"
    assert probe(whole).duration == pytest.approx(6, abs=0.02)
    data = whole.read_bytes()
    cut = whole.with_stem("cut")
    cut.write_bytes(data[: len(data) * 2 // 3])
    info: ClipInfo = probe(cut)
    assert info.duration == pytest.approx(4, abs=0.6)
    got = [frame.image for frame in Clip(cut).frames(10, duration=3.0)]
    wanted = [frame.image for frame in Clip(whole).frames(10, duration=3.0)]
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
    refusal(ExitCode.BAD_RANGE, lambda: Clip(cut).frames(10, 5.0))


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", noise(60))
    whole = [frame.image for frame in Clip(path).frames(10)]
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 5 : len(data) // 2] = bytes(len(data) // 2 - len(data) * 2 // 5)
    path.write_bytes(data)
    damaged = [frame.image for frame in Clip(path).frames(10)]
    assert len(damaged) == 60
    assert all(np.array_equal(whole[k], damaged[k]) for k in (*range(20), *range(40, 60)))


def test_a_name_full_of_signs(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a:b %04d #1 é.mp4", [grey(90)] * 5)
    assert probe(path).frames == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile other.ts\n"),
    ],
)
def test_a_list_of_other_files_is_no_clip(tmp_path: Path, name: str, text: str) -> None:
    other = write_video(tmp_path / "other.ts", [grey(90)] * 5)
    assert probe(other).codec == "h264"
    (tmp_path / name).write_text(text.format(other=other))
    assert name in refusal(ExitCode.NOT_A_VIDEO, lambda: probe(tmp_path / name))


# --- Real footage ---------------------------------------------------------------------------------------------------


def test_footage_from_the_web(footage: Path) -> None:
    info = probe(footage)
    assert (info.width, info.height, info.pixel_aspect) == (640, 322, Fraction(161, 160))
    assert (info.frame_width, info.frame_height, info.fps, info.stereo) == (644, 322, Fraction(30), "mono")
    assert info.duration == pytest.approx(40.07, abs=0.01)
    got = list(Clip(footage).frames(0.5))
    assert [frame.time for frame in got] == [2.0 * k for k in range(21)]
    check_sphere(Clip(footage))
