"""A 360° video with spatial audio: its sound, frames and boxes, as other programs read them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from omniaudio.errors import ExitCode, UserError
from omniaudio.export360 import video_track
from omniaudio.export360.audio_track import Codec
from omniaudio.export360.spatial_video import ExportedVideo, ExportRequest, export_spatial_video
from omniaudio.progress import Report
from omniaudio.video import h264
from omniaudio.video.clip import Clip
from omniaudio.video.probe import probe
from support import videos
from support.mp4_boxes import posed_sv3d, put_boxes
from support.videos import (
    RATE,
    number_of_frame,
    numbered_frame,
    truncate,
    write_noise_video,
    write_numbered_video,
    write_sound,
    write_video,
)

SUFFIX = {Codec.PCM: ".mov", Codec.OPUS: ".mp4", Codec.AAC: ".mp4"}
Deliverer = Callable[..., ExportedVideo]


@pytest.fixture
def run(tmp_path: Path) -> Deliverer:
    def run(clip: Path, codec: Codec = Codec.PCM, **options: object) -> ExportedVideo:
        output = tmp_path / f"out{SUFFIX[codec]}"
        fields = {"clip": clip, "sound": tmp_path / "foa.wav", "output": output, "codec": codec, "force": True}
        return export_spatial_video(ExportRequest.model_validate(fields | options), lambda report: None)

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_numbered_video(tmp_path / "clip.mp4", 30)
    return tmp_path / "clip.mp4"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs the program {name}")
    return found


def decoded(path: Path) -> NDArray[np.float32]:
    """The sound of a video by FFmpeg's program, in the channels' own order: `(4, samples)`."""
    command = [
        program("ffmpeg"),
        "-v",
        "error",
        "-i",
        str(path),
        "-map",
        "0:a:0",
        "-c:a",
        "pcm_s32le",
        "-f",
        "s32le",
        "-",
    ]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return (np.frombuffer(raw, "<i4").reshape(-1, 4).T / 2**31).astype(np.float32)


def shown(path: Path) -> list[tuple[float, int]]:
    """Times and numbers of a video's frames."""
    with av.open(str(path)) as video:
        return [(round(float(frame.time or 0), 3), number_of_frame(frame)) for frame in video.decode(video=0)]


def tracks(path: Path) -> dict[str, dict[str, str]]:
    """What ffprobe reports about video and audio."""
    command = [program("ffprobe"), "-v", "error", "-of", "json", "-show_streams", str(path)]
    streams = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"]
    assert len(streams) == 2
    return {stream["codec_type"]: stream for stream in streams}


# --- The sound -------------------------------------------------------------------------------------------------------


def test_pcm_is_exact(clip: Path, tmp_path: Path, run: Deliverer) -> None:
    sound = write_sound(tmp_path / "foa.wav", 3)
    np.testing.assert_array_equal(decoded(run(clip).path), sound)


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.AAC])
def test_lossy_codecs_keep_order_time_and_level(clip: Path, tmp_path: Path, run: Deliverer, codec: Codec) -> None:
    sound = write_sound(tmp_path / "foa.wav", 3)
    heard = decoded(run(clip, codec).path)
    assert 0 <= heard.shape[1] - sound.shape[1] < 1100  # A player cuts a codec's last block by the track's length.
    error = heard[:, : sound.shape[1]] - sound
    assert (error.std(axis=1) / sound.std(axis=1)).max() < 0.1
    assert tracks(tmp_path / "out.mp4")["audio"]["duration_ts"] == sound.shape[1]


@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_other_rates_become_48_khz(clip: Path, tmp_path: Path, run: Deliverer, rate: int) -> None:
    times = np.arange(rate * 2) / rate
    tone = 0.3 * np.sin(2 * np.pi * 1000 * times)
    soundfile.write(tmp_path / "foa.wav", np.outer(tone, [1, 0.5, 0.25, 0.125]), rate, subtype="PCM_24")
    heard = decoded(run(clip).path)
    assert heard.shape == (4, 2 * RATE)
    expected = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    inside = slice(1000, -1000)
    np.testing.assert_allclose(heard[0, inside], expected[inside], atol=1e-5)
    assert tracks(tmp_path / "out.mov")["audio"]["sample_rate"] == "48000"


def test_a_sound_beyond_full_scale_is_refused(clip: Path, tmp_path: Path, run: Deliverer) -> None:
    soundfile.write(tmp_path / "foa.wav", np.full((RATE, 4), 1.5), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="lower its level"):
        run(clip)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.mp4", "foa.wav"]


@pytest.mark.parametrize(("rate", "refused"), [(44_100, True), (96_000, False)])
def test_full_scale_is_that_of_48_khz(clip: Path, tmp_path: Path, run: Deliverer, rate: int, refused: bool) -> None:
    """At a quarter of 44.1 kHz samples of 0.9 have peaks of 1.27 between them; no tone above 24 kHz stays."""
    level, frequency = (0.9 * 2**0.5, rate / 4) if refused else (1.2, 36_000)
    tone = level * np.sin(2 * np.pi * frequency * np.arange(rate) / rate + np.pi / 4) * np.hanning(rate)
    soundfile.write(tmp_path / "foa.wav", np.tile(tone[:, None], 4), rate, subtype="FLOAT")
    assert (np.abs(tone).max() > 1) != refused
    if refused:
        with pytest.raises(UserError, match=r"at 48 kHz.*lower its level"):
            run(clip)
        assert not (tmp_path / "out.mov").exists()
    else:
        assert np.abs(decoded(run(clip).path)).max() < 0.01


# --- The frames ------------------------------------------------------------------------------------------------------


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(video=0) if packet.size]


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mkv"), ("libx265", "a.mp4"), ("prores_ks", "a.mov")])
def test_frames_are_copied(tmp_path: Path, run: Deliverer, codec: str, name: str) -> None:
    write_numbered_video(tmp_path / name, 20, codec)
    write_sound(tmp_path / "foa.wav", 2)
    made = run(tmp_path / name)
    assert made.copied
    assert shown(made.path) == [(i / 10, i) for i in range(20)]
    if name != "a.mkv":  # Matroska's are cut out of their container a little otherwise.
        assert packets(made.path) == packets(tmp_path / name)


def test_frames_that_an_mp4_does_not_accept_are_encoded(tmp_path: Path, run: Deliverer) -> None:
    write_numbered_video(tmp_path / "clip.mov", 20, "prores_ks")
    write_sound(tmp_path / "foa.wav", 2)
    made = run(tmp_path / "clip.mov", Codec.AAC)
    assert (made.copied, made.video_codec) == (False, "h264")
    assert shown(made.path) == [(i / 10, i) for i in range(20)]


@pytest.mark.parametrize(
    ("name", "codec", "sound", "copied"),
    [
        ("clip.mp4", "libvpx-vp9", Codec.PCM, False),
        ("clip.webm", "libvpx-vp9", Codec.PCM, False),
        ("clip.webm", "libvpx-vp9", Codec.AAC, True),
        ("clip.mp4", "libsvtav1", Codec.PCM, False),
        ("clip.mp4", "libsvtav1", Codec.OPUS, True),
        ("clip.webm", "libvpx", Codec.PCM, False),
        ("clip.mkv", "ffv1", Codec.AAC, False),
        ("clip.avi", "mjpeg", Codec.PCM, True),
        ("clip.avi", "libx264", Codec.PCM, False),  # AVI tells only when a frame is decoded.
        ("clip.ts", "mpeg2video", Codec.PCM, False),
    ],
)
def test_what_a_container_does_not_take_is_encoded(  # noqa: PLR0917 - pytest names them
    tmp_path: Path, run: Deliverer, name: str, codec: str, sound: Codec, copied: bool
) -> None:
    rate = 25 if codec == "mpeg2video" else 10
    write_numbered_video(tmp_path / name, 20, codec, rate, **({"crf": "10"} if codec == "libsvtav1" else {}))
    write_sound(tmp_path / "foa.wav", 2)
    made = run(tmp_path / name, sound)
    assert made.copied is copied
    assert made.video_codec == (
        {"libvpx-vp9": "vp9", "libsvtav1": "av1", "mjpeg": "mjpeg"}[codec] if copied else "h264"
    )
    times, numbers = zip(*shown(made.path), strict=True)
    assert numbers == tuple(range(20))
    np.testing.assert_allclose(times, np.arange(20) / rate, atol=2e-3)


def test_no_frame_of_a_variable_rate_is_left_out(tmp_path: Path, run: Deliverer) -> None:
    """The first ones come faster than on average."""
    times = [k * (k + 3) for k in range(20)]  # in hundredths of a second
    with av.open(str(tmp_path / "clip.mkv"), "w") as video:
        stream = video.add_stream("mjpeg", rate=100)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuvj420p"
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 100)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    write_sound(tmp_path / "foa.wav", 5)
    made = run(tmp_path / "clip.mkv", Codec.AAC)
    assert shown(made.path) == [(time / 100, number) for number, time in enumerate(times)]


def test_what_only_the_muxer_refuses_is_encoded(
    tmp_path: Path, run: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table cannot know them all."""
    monkeypatch.setitem(video_track.COPIED, "mov", video_track.COPIED["mov"] | {"vp9", "ffv1"})
    write_sound(tmp_path / "foa.wav", 2)
    for name, codec in (("clip.mp4", "libvpx-vp9"), ("clip.mkv", "ffv1")):
        write_numbered_video(tmp_path / name, 20, codec)
        made = run(tmp_path / name)
        assert (made.copied, made.video_codec) == (False, "h264")
        assert shown(made.path) == [(i / 10, i) for i in range(20)]


def test_what_no_encoder_takes_is_one_message(
    clip: Path, tmp_path: Path, run: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a disk that is full."""

    def fail(*_: object) -> None:
        raise av.error.ExternalError(28, "No space left on device")

    monkeypatch.setattr(video_track, "COPIED", {"mov": frozenset()})
    monkeypatch.setattr(h264.FrameEncoder, "finish", fail)
    write_sound(tmp_path / "foa.wav", 2)
    with pytest.raises(UserError) as caught:
        run(clip)
    assert caught.value.code is ExitCode.NOT_WRITABLE
    assert "No space left on device" in caught.value.message
    assert not (tmp_path / "out.mov").exists()


def test_recordings_that_were_joined_are_encoded_whole(tmp_path: Path, run: Deliverer) -> None:
    write_numbered_video(tmp_path / "clip.ts", 12)
    (tmp_path / "joined.ts").write_bytes(2 * (tmp_path / "clip.ts").read_bytes())
    write_sound(tmp_path / "foa.wav", 2.4)
    made = run(tmp_path / "joined.ts")
    assert not made.copied
    assert shown(made.path) == [(i / 10, i % 12) for i in range(24)]


@pytest.mark.parametrize(("start", "copied"), [(1.0, True), (0.999, True), (0.7, False), (2.3, False)])
def test_the_video_begins_where_the_sound_does(
    clip: Path, tmp_path: Path, run: Deliverer, start: float, copied: bool
) -> None:
    """By copying where a key frame lies there: every tenth frame is one."""
    write_sound(tmp_path / "foa.wav", 0.5)
    made = run(clip, clip_start=start)
    assert made.copied is copied
    first = round(start * 10)
    times, numbers = zip(*shown(made.path), strict=True)
    assert numbers[:5] == tuple(range(first, first + 5))
    assert times[0] == 0
    np.testing.assert_allclose(np.diff(times), 0.1, atol=2e-3)
    assert len(numbers) <= 5 + (3 if copied else 0)


@pytest.mark.parametrize("copied", [True, False])
def test_the_last_frame_stays_to_the_end_of_the_sound(clip: Path, tmp_path: Path, run: Deliverer, copied: bool) -> None:
    write_sound(tmp_path / "foa.wav", 4.567)
    made = run(clip, clip_start=0.0 if copied else 0.1)
    assert made.copied is copied
    of = tracks(made.path)
    for kind in ("video", "audio"):
        assert float(of[kind]["start_time"]) == 0
        assert float(of[kind]["duration"]) == pytest.approx(4.567, abs=1e-3)
    assert shown(made.path)[-1][1] == 29


def test_a_still_lasts_as_long_as_the_sound(tmp_path: Path, run: Deliverer) -> None:
    Image.fromarray(numbered_frame(7, 130, 65)).save(tmp_path / "still.png")
    write_sound(tmp_path / "foa.wav", 1.3)
    made = run(tmp_path / "still.png")
    assert (made.width, made.height, made.video_codec, made.copied) == (130, 64, "h264", False)
    assert {number for _, number in shown(made.path)} == {7}
    assert float(tracks(made.path)["video"]["duration"]) == pytest.approx(1.3, abs=1e-3)


def test_a_still_comes_six_times_a_second_with_a_key_frame_every_two(tmp_path: Path, run: Deliverer) -> None:
    Image.fromarray(numbered_frame(7)).save(tmp_path / "still.png")
    write_sound(tmp_path / "foa.wav", 4.5)
    made = run(tmp_path / "still.png")
    assert [time for time, _ in shown(made.path)] == [round(place / 6, 3) for place in range(27)]
    with av.open(str(made.path)) as video:
        keys = [float(packet.pts * packet.time_base) for packet in video.demux(video=0) if packet.is_keyframe]
    assert keys == [0, 2, 4]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_a_large_still_becomes_what_hardware_decodes_in_little_memory(tmp_path: Path) -> None:
    """16384×8192 took 21 GB, and an H.264 of level 6.2 that is beyond its sizes."""
    Image.fromarray(numbered_frame(7, 16384, 8192)).save(tmp_path / "still.jpg")
    write_sound(tmp_path / "foa.wav", 0.6)
    program = (
        "import re, sys; from pathlib import Path; from omniaudio.export360 import spatial_video; "
        "files = dict(zip(('clip', 'sound', 'output'), sys.argv[1:])); "
        "request = spatial_video.ExportRequest(**files, force=True); "
        "made = spatial_video.export_spatial_video(request, print); "
        "print(made.model_dump_json()); "
        # Not ru_maxrss, which counts the peak of the process that started this one, too.
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    files = (tmp_path / name for name in ("still.jpg", "foa.wav", "out.mov"))
    done = subprocess.run([sys.executable, "-c", program, *files], check=True, capture_output=True, text=True)
    *_, told, kilobytes = done.stdout.splitlines()
    made = ExportedVideo.model_validate_json(told)
    assert (made.width, made.height, made.scaled_from) == (8192, 4096, (16384, 8192))
    assert int(kilobytes) < 1.8e6
    with av.open(str(made.path)) as video:
        assert video.streams.video[0].codec_context.level <= 62
        assert number_of_frame(next(video.decode(video=0))) == 7


def test_an_image_sequence_plays_with_its_gaps(tmp_path: Path, run: Deliverer) -> None:
    (tmp_path / "frames").mkdir()
    for number in (0, 1, 2, 5, 6):
        Image.fromarray(numbered_frame(number)).save(tmp_path / "frames" / f"{number:04}.png")
    write_sound(tmp_path / "foa.wav", 7 / 24)
    assert shown(run(tmp_path / "frames").path) == [(round(i / 24, 3), i) for i in (0, 1, 2, 5, 6)]


def test_colours_stay(tmp_path: Path, run: Deliverer) -> None:
    """A still's, through BT.709 and back by the decoder that is told so."""
    colours = np.repeat(np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [120, 120, 120]], np.uint8), 32, axis=0)
    image = np.broadcast_to(colours[None], (64, 128, 3))
    Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / "still.png")
    write_sound(tmp_path / "foa.wav", 0.2)
    with av.open(str(run(tmp_path / "still.png").path)) as video:
        seen = next(video.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    np.testing.assert_allclose(seen[32, 16::32], image[32, 16::32], atol=4)


def test_frames_in_rgb_are_tagged_as_encoded(tmp_path: Path, run: Deliverer) -> None:
    """By the file's header: a decoder that is told "RGB" of BT.709 shows everything green."""
    with av.open(str(tmp_path / "clip.mov"), "w") as video:
        stream = video.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "rgb24"
        colour = np.full((64, 128, 3), (200, 40, 40), np.uint8)
        video.mux(stream.encode(av.VideoFrame.from_ndarray(colour, format="rgb24")))
        video.mux(stream.encode(None))
    write_sound(tmp_path / "foa.wav", 0.1)
    with av.open(str(run(tmp_path / "clip.mov").path)) as video:
        frame = next(video.decode(video=0))
        assert frame.colorspace == 1
        np.testing.assert_allclose(frame.to_ndarray(format="rgb24")[32, 64].astype(int), (200, 40, 40), atol=4)


def test_an_unseekable_video_is_encoded(tmp_path: Path, run: Deliverer) -> None:
    write_numbered_video(tmp_path / "clip.h264", 20, rate=25)  # A raw stream is taken for 25 a second.
    write_sound(tmp_path / "foa.wav", 0.3)
    made = run(tmp_path / "clip.h264", clip_start=0.4)
    assert not made.copied
    assert shown(made.path)[0] == (0, 10)


@pytest.mark.parametrize("codec", [Codec.PCM, Codec.OPUS])
@pytest.mark.parametrize("name", ["clip.mp4", "still.png"])
def test_the_shortest_sound_has_a_frame(tmp_path: Path, run: Deliverer, name: str, codec: Codec) -> None:
    if name == "clip.mp4":
        write_numbered_video(tmp_path / name, 1)
    else:
        Image.fromarray(numbered_frame(0)).save(tmp_path / name)
    write_sound(tmp_path / "foa.wav", 1 / RATE)
    assert len(shown(run(tmp_path / name, codec).path)) == 1


def test_hevc_has_the_name_that_apple_plays(tmp_path: Path, run: Deliverer) -> None:
    write_numbered_video(tmp_path / "clip.mkv", 20, "libx265")
    write_sound(tmp_path / "foa.wav", 1)
    made = run(tmp_path / "clip.mkv")
    assert made.copied
    with av.open(str(made.path)) as video:
        assert video.streams.video[0].codec_context.codec_tag == "hvc1"


def test_of_a_long_sequence_only_what_is_shown_is_read(tmp_path: Path, run: Deliverer) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(29):
        Image.fromarray(numbered_frame(number)).save(tmp_path / "frames" / f"{number:04}.png")
    (tmp_path / "frames" / "0010.png").write_bytes(b"nothing that can be read")
    write_sound(tmp_path / "foa.wav", 3 / 24)
    assert shown(run(tmp_path / "frames", clip_start=20 / 24).path) == [(round(i / 24, 3), 20 + i) for i in range(3)]


# --- The boxes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", list(Codec))
def test_ffprobe_reads_the_boxes(clip: Path, tmp_path: Path, run: Deliverer, codec: Codec) -> None:
    write_sound(tmp_path / "foa.wav", 1)
    of = tracks(run(clip, codec, stereo="top-bottom").path)
    # Of AAC it tells the codec's own layout.
    assert of["audio"]["channel_layout"] == ("4.0" if codec is Codec.AAC else "ambisonic 1")
    side = {data["side_data_type"]: data for data in of["video"]["side_data_list"]}  # type: ignore[index]
    assert side["Spherical Mapping"]["projection"] == "equirectangular"  # type: ignore[index]
    assert side["Stereo 3D"]["type"] == "top and bottom"  # type: ignore[index]


@pytest.mark.parametrize("codec", list(Codec))
def test_mediainfo_reads_the_sound_as_ambisonics(clip: Path, tmp_path: Path, run: Deliverer, codec: Codec) -> None:
    reader = program("mediainfo")
    write_sound(tmp_path / "foa.wav", 1)
    answer = subprocess.run([reader, "--Output=JSON", run(clip, codec).path], check=True, capture_output=True).stdout
    (audio,) = [track for track in json.loads(answer)["media"]["track"] if track["@type"] == "Audio"]
    assert audio["ChannelLayout"].startswith("Ambisonics")


@pytest.mark.parametrize("stereo", ["mono", "top-bottom", "side-by-side"])
def test_exiftool_reads_both_versions_of_the_metadata(clip: Path, tmp_path: Path, run: Deliverer, stereo: str) -> None:
    names = {
        "mono": ("Monoscopic", "mono"),
        "top-bottom": ("Stereoscopic Top-Bottom", "top-bottom"),
        "side-by-side": ("Stereoscopic Left-Right", "left-right"),
    }
    reader = program("exiftool")
    write_sound(tmp_path / "foa.wav", 1)
    path = run(clip, stereo=stereo).path
    answer = subprocess.run([reader, "-j", "-G1", path], check=True, capture_output=True).stdout
    said = json.loads(answer)[0]
    assert [said[f"Track1:ProjectionBounds{side}"] for side in ("Top", "Bottom", "Left", "Right")] == [0, 0, 0, 0]
    assert said["XMP-GSpherical:ProjectionType"] == "equirectangular"
    assert (said["Track1:Stereoscopic3D"], said["XMP-GSpherical:StereoMode"]) == names[stereo]


def test_the_index_comes_first(clip: Path, tmp_path: Path, run: Deliverer) -> None:
    write_sound(tmp_path / "foa.wav", 1)
    data = run(clip).path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


# --- What is refused, and what is left behind -------------------------------------------------------------------------


def test_a_flat_clip_is_refused_unless_forced(tmp_path: Path, run: Deliverer) -> None:
    Image.fromarray(numbered_frame(7, 128, 96)).save(tmp_path / "still.png")
    write_sound(tmp_path / "foa.wav", 0.2)
    with pytest.raises(UserError) as caught:
        run(tmp_path / "still.png", force=False)
    assert caught.value.code is ExitCode.NOT_360
    assert run(tmp_path / "still.png").height == 96


def test_a_file_that_was_cut_off_is_refused_unless_allowed(tmp_path: Path, run: Deliverer) -> None:
    clip = truncate(write_noise_video(tmp_path / "clip.mp4", movflags="faststart"))
    write_sound(tmp_path / "foa.wav", 5)
    with pytest.raises(UserError, match=r"says 6\.00 s, but only .* can be read.*--allow-truncated") as caught:
        run(clip)
    assert caught.value.code is ExitCode.TRUNCATED
    assert run(clip, allow_truncated=True).seconds == 5
    write_sound(tmp_path / "foa.wav", 1)
    assert run(clip, clip_start=1.0).seconds == 1


def test_impossible_requests(clip: Path, tmp_path: Path, run: Deliverer) -> None:
    write_sound(tmp_path / "foa.wav", 0.2)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((100, 2)), RATE)
    for options, code in (
        ({"clip_start": 3.5}, ExitCode.BAD_RANGE),
        ({"sound": tmp_path / "none.wav"}, ExitCode.NO_INPUT),
        ({"sound": tmp_path / "stereo.wav"}, ExitCode.NO_INPUT),
        ({"sound": clip}, ExitCode.NO_INPUT),
        ({"output": tmp_path / "out.mp4"}, ExitCode.NOT_WRITABLE),
        ({"output": tmp_path / "none" / "out.mov"}, ExitCode.NOT_WRITABLE),
        ({"codec": Codec.AAC, "output": clip}, ExitCode.NOT_WRITABLE),
    ):
        with pytest.raises(UserError) as caught:
            run(clip, **options)
        assert caught.value.code is code
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.mp4", "foa.wav", "stereo.wav"]


def test_a_delivery_that_is_cancelled_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    write_sound(tmp_path / "foa.wav", 3)
    (tmp_path / "out.mov").write_text("as it was")

    def cancel(report: Report) -> None:
        if report.fraction > 0.5:
            raise KeyboardInterrupt

    request = ExportRequest(clip=clip, sound=tmp_path / "foa.wav", output=tmp_path / "out.mov", force=True)
    with pytest.raises(KeyboardInterrupt):
        export_spatial_video(request, cancel)
    assert (tmp_path / "out.mov").read_text() == "as it was"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.mp4", "foa.wav", "out.mov"]


def test_footage_from_the_web(footage: Path, tmp_path: Path, run: Deliverer) -> None:
    write_sound(tmp_path / "foa.wav", 5)
    made = run(footage, force=False)
    assert (made.copied, made.stereo, videos.RATE * made.seconds) == (True, "mono", 5 * RATE)


@pytest.mark.parametrize("name", ["clip.mp4", "still.jpg"])
def test_a_posed_sphere_is_delivered_as_players_show_it(tmp_path: Path, run: Deliverer, name: str) -> None:
    """Most players know no pose: the sphere is rotated in the frames, and none is written, so that the sound, which
    was made for what is shown, fits in every player."""
    source = np.zeros((64, 128, 3), np.uint8)
    source[20:44, 30:34] = 255
    write_sound(tmp_path / "foa.wav", 0.3)
    if name == "still.jpg":
        pose = 'GPano:ProjectionType="equirectangular" GPano:PosePitchDegrees="40" GPano:PoseRollDegrees="25"'
        Image.fromarray(source).save(tmp_path / name, quality=95, xmp=f"<rdf:Description {pose}/>".encode())
    else:
        write_video(tmp_path / name, [source] * 4)
        put_boxes(tmp_path / name, entry=posed_sv3d(90))
    wanted = Clip(tmp_path / name).frame_at()
    assert np.abs(wanted.astype(int) - source).mean() > 3
    made = run(tmp_path / name, force=False)
    assert not made.copied
    delivered = probe(made.path)
    assert (delivered.projection, delivered.pose) == ("equirectangular", None)
    assert np.abs(Clip(made.path).frame_at().astype(int) - wanted).mean() < 3
