"""What sound files declare, and that every reader converts by it: a source at the left is at the left."""

import logging
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from omniaudio.audio.ambisonics import Convention, Sound, convert, encode
from omniaudio.audio.binaural import BinauralRequest, write_binaural
from omniaudio.audio.convention import converted_from, declared, log_conversion
from omniaudio.audio.reader import open_sound
from omniaudio.audio.rotation import Orientation, RotationRequest, rotate_to_world
from omniaudio.errors import UserError
from omniaudio.export360.direction_map_video import DirectionMapVideoRequest, write_direction_map_video
from omniaudio.export360.spatial_video import ExportRequest, export_spatial_video
from omniaudio.generation.inpainting import Inpainting, open_part
from omniaudio.progress import Report
from support.wav_headers import B_FORMAT_FLOAT, B_FORMAT_PCM, chunk, form, pcm16, riff, wav

RATE = 48000


def quiet(report: Report) -> None:
    """Told of every step, and says nothing."""


def left() -> Sound:
    """Noise from 90° to the left."""
    return encode(0.1 * np.random.default_rng(1).standard_normal(RATE // 2), np.pi / 2, 0.2)


def furse_malham() -> Sound:
    return convert(left(), Convention.AMBIX, Convention.FUMA)


def float_wav(sound: Sound) -> bytes:
    content = form(bits=32, guid=B_FORMAT_FLOAT)
    return riff(chunk(b"fmt ", content), chunk(b"data", sound.T.astype("<f4").tobytes()))


def rf64(sound: Sound) -> bytes:
    content = pcm16(sound)
    sizes = struct.pack("<QQQI", len(content) + 100, len(content), sound.shape[1], 0)
    fmt = chunk(b"fmt ", form(guid=B_FORMAT_PCM))
    return riff(chunk(b"ds64", sizes), fmt, chunk(b"data", content, 0xFFFF_FFFF), magic=b"RF64")


def caf(sound: Sound, layout: int) -> bytes:
    def big(name: bytes, content: bytes) -> bytes:
        return name + struct.pack(">q", len(content)) + content

    desc = struct.pack(">d4sIIIII", RATE, b"lpcm", 2, 8, 1, 4, 16)
    chan = struct.pack(">III", layout << 16 | 4, 0, 0)
    return b"caff\0\1\0\0" + big(b"desc", desc) + big(b"chan", chan) + big(b"data", bytes(4) + pcm16(sound))


def adm(normalization: str, components: tuple[tuple[int, int], ...] = ((0, 0), (1, -1), (1, 0), (1, 1))) -> bytes:
    scale = f"<normalization>{normalization}</normalization>" if normalization else ""
    blocks = "".join(
        f'<audioChannelFormat typeDefinition="HOA"><audioBlockFormat><order>{order}</order>'
        f"<degree>{degree}</degree>{scale}</audioBlockFormat></audioChannelFormat>"
        for order, degree in components
    )
    return chunk(b"axml", f"<ebuCoreMain>{blocks}</ebuCoreMain>".encode())


FURSE_MALHAM: dict[str, tuple[str, Callable[[], bytes]]] = {
    "integers, by the sub-format": ("a.amb", lambda: wav(furse_malham(), guid=B_FORMAT_PCM)),
    "floats, by the sub-format": ("a.amb", lambda: float_wav(furse_malham())),
    "by the name alone": ("a.AMB", lambda: wav(furse_malham())),
    "the sub-format in a .wav": ("a.wav", lambda: wav(furse_malham(), guid=B_FORMAT_PCM)),
    "behind other chunks": (
        "a.wav",
        lambda: wav(furse_malham(), chunk(b"JUNK", bytes(9001)), chunk(b"bext", bytes(602)), guid=B_FORMAT_PCM),
    ),
    "RF64": ("a.wav", lambda: rf64(furse_malham())),
    "a layout of CAF": ("a.caf", lambda: caf(furse_malham(), 107)),
}
"""Ways to say Furse-Malham: the file's name, and its bytes."""


@pytest.fixture(params=FURSE_MALHAM.keys())
def b_format(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name, content = FURSE_MALHAM[request.param]
    path = tmp_path / name
    path.write_bytes(content())
    return path


def level_difference(path: Path) -> float:
    """By how many dB the left ear hears more."""
    ears = soundfile.read(path, always_2d=True)[0]
    powers = np.mean(ears**2, axis=0)
    return float(10 * np.log10(powers[0] / powers[1]))


def test_what_declares_furse_malham_is_read_as_ambix(b_format: Path) -> None:
    sound = open_sound(b_format)
    assert converted_from(b_format) is Convention.FUMA
    np.testing.assert_allclose(sound.read(0, sound.samples), left(), atol=1e-4)
    np.testing.assert_allclose(sound.as_stored.read(0, sound.samples), furse_malham(), atol=1e-4)
    np.testing.assert_allclose(sound.read(1000, 1100), left()[:, 1000:1100], atol=1e-4)


def test_a_head_hears_a_source_where_it_is(b_format: Path, tmp_path: Path) -> None:
    (tmp_path / "ambix.wav").write_bytes(wav(left()))
    heard = [
        level_difference(write_binaural(BinauralRequest(sound=path, output=tmp_path / f"ears{number}.wav"), quiet))
        for number, path in enumerate((b_format, tmp_path / "ambix.wav"))
    ]
    assert heard[1] > 8
    assert heard[0] == pytest.approx(heard[1], abs=0.1)


def test_every_tool_converts(tmp_path: Path) -> None:
    path = tmp_path / "a.amb"
    path.write_bytes(wav(furse_malham(), guid=B_FORMAT_PCM))
    still = tmp_path / "still.png"
    Image.fromarray(np.full((64, 128, 3), 90, np.uint8)).save(still)
    exported = export_spatial_video(
        ExportRequest(clip=still, sound=path, output=tmp_path / "video.mov", force=True), quiet
    ).path
    with av.open(str(exported)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    delivered = np.concatenate(frames, axis=1).reshape(-1, 4).T / 2**31
    np.testing.assert_allclose(delivered, left(), atol=1e-4)
    straight = (Orientation(seconds=0, w=1, x=0, y=0, z=0),)
    rotated = rotate_to_world(RotationRequest(sound=path, output=tmp_path / "world.wav", orientations=straight), quiet)
    np.testing.assert_allclose(soundfile.read(rotated.sound)[0].T, left(), atol=1e-4)
    assert declared(rotated.sound) == (Convention.AMBIX, "world.json declares it")
    part = open_part(Inpainting(sound=path, start=0, duration=0.4))
    np.testing.assert_allclose(part.sound.read(0, 100), left()[:, :100], atol=1e-4)


def test_a_map_shows_it_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.amb").write_bytes(wav(furse_malham()[:, : RATE // 20]))
    (tmp_path / "ambix.wav").write_bytes(wav(left()[:, : RATE // 20]))
    still = tmp_path / "still.png"
    Image.fromarray(np.full((64, 128, 3), 90, np.uint8)).save(still)
    maps = [
        write_direction_map_video(
            DirectionMapVideoRequest(sound=sound, clip=still, output=tmp_path / f"{sound.stem}.mp4"), quiet
        )
        for sound in (tmp_path / "a.amb", tmp_path / "ambix.wav")
    ]
    frames = []
    for path in maps:
        with av.open(str(path)) as container:
            frames.append(next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float))
    assert np.abs(frames[0] - frames[1]).mean() < 0.5


@pytest.mark.parametrize(
    ("axml", "convention"), [(adm("SN3D"), Convention.AMBIX), (adm(""), Convention.AMBIX), (adm("N3D"), Convention.N3D)]
)
def test_adm_metadata_declare(tmp_path: Path, axml: bytes, convention: Convention) -> None:
    (tmp_path / "a.wav").write_bytes(wav(convert(left(), Convention.AMBIX, convention), axml))
    found = declared(tmp_path / "a.wav")
    assert found is not None
    assert found.convention is convention
    np.testing.assert_allclose(open_sound(tmp_path / "a.wav").read(0, 100), left()[:, :100], atol=1e-4)


@pytest.mark.parametrize("axml", [adm("FuMa"), adm("SN3D", ((0, 0), (1, 1), (1, -1), (1, 0)))])
def test_what_cannot_be_converted_is_refused(tmp_path: Path, axml: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(wav(left(), axml))
    with pytest.raises(UserError, match="export it as AmbiX"):
        open_sound(tmp_path / "a.wav")


@pytest.mark.parametrize(("layout", "convention"), [(190, Convention.AMBIX), (191, Convention.N3D)])
def test_layouts_of_core_audio(tmp_path: Path, layout: int, convention: Convention) -> None:
    (tmp_path / "a.caf").write_bytes(caf(left(), layout))
    found = declared(tmp_path / "a.caf")
    assert found is not None
    assert found.convention is convention


def test_a_layout_of_aiff(tmp_path: Path) -> None:
    path = tmp_path / "a.aiff"
    soundfile.write(path, furse_malham().T, RATE, "PCM_16", format="AIFF")
    plain = path.read_bytes()
    layout = b"CHAN" + struct.pack(">IIII", 12, 107 << 16 | 4, 0, 0)
    body = b"AIFF" + layout + plain[12:]
    path.write_bytes(b"FORM" + struct.pack(">I", len(body)) + body)
    assert converted_from(path) is Convention.FUMA
    np.testing.assert_allclose(open_sound(path).read(0, 100), left()[:, :100], atol=1e-4)


def test_opus_declares_ambix(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, options={"mapping_family": "2"})
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout, stream.codec_context.format = "ambisonic 1", "flt"
        samples = np.ascontiguousarray(left()[:, :960].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="ambisonic 1")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert declared(path) == (Convention.AMBIX, "its Opus header declares it")


def test_what_declares_nothing_is_taken_as_it_is(tmp_path: Path) -> None:
    """Whatever it looks like: a guess changes nothing."""
    (tmp_path / "a.wav").write_bytes(wav(furse_malham(), chunk(b"LIST", B_FORMAT_PCM), chunk(b"axml", b"<a/>")))
    assert declared(tmp_path / "a.wav") is None
    np.testing.assert_allclose(open_sound(tmp_path / "a.wav").read(0, 100), furse_malham()[:, :100], atol=1e-4)


def test_a_file_counts_before_the_sidecar_of_another(tmp_path: Path) -> None:
    """Beside take.wav and its sidecar may lie take.amb."""
    (tmp_path / "take.json").write_text('{"format": "omniaudio-sidecar-1", "convention": "AmbiX ACN/SN3D"}')
    (tmp_path / "take.amb").write_bytes(wav(furse_malham()))
    (tmp_path / "take.wav").write_bytes(wav(left()))
    assert converted_from(tmp_path / "take.amb") is Convention.FUMA
    assert declared(tmp_path / "take.wav") == (Convention.AMBIX, "take.json declares it")


def test_a_conversion_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log_conversion.cache_clear()
    path = tmp_path / "a.amb"
    path.write_bytes(wav(furse_malham()))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            open_sound(path)
    assert [record.getMessage() for record in caplog.records] == [
        "a.amb is converted from Furse-Malham (W X Y Z, W at -3 dB) to AmbiX: its name ends with .amb, which is "
        "B-format."
    ]
