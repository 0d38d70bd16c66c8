"""Sound files whose headers lie: each is one message at once, or read as what is there."""

import os
import struct
from contextlib import suppress
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniaudio.analysis.inspect import describe
from omniaudio.audio.ambisonics import Sound
from omniaudio.audio.reader import open_sound
from omniaudio.errors import ExitCode, UserError
from support.wav_headers import B_FORMAT_PCM, chunk, form, riff, wav

FRAMES = 4800
FORMATS = ("FLAC", "OGG", "CAF", "W64", "RF64", "AIFF", "AU", "WAV", "WAVEX")


def noise(frames: int = FRAMES) -> Sound:
    return (0.1 * np.random.default_rng(0).standard_normal((4, frames))).astype(np.float32)


def read_whole(path: Path) -> int:
    """The samples of a sound, all of them read."""
    return sum(block.shape[1] for block in open_sound(path).blocks())


def assert_refused(path: Path, words: str) -> None:
    for use in (read_whole, describe):
        begun = monotonic()
        with pytest.raises(UserError, match=words) as caught:
            use(path)
        assert monotonic() - begun < 1
        assert caught.value.code is ExitCode.NO_INPUT
        assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (wav(noise(), rate=999), "999 Hz; choose a file with at least 1000 Hz"),
        (wav(noise(), rate=768_001), "768001 Hz; choose a file with at most 768000 Hz"),
        (wav(noise(), rate=2_000_000_000), "2000000000 Hz"),
        (wav(noise(), channels=8), "8 channels"),
        (wav(noise(), align=3), "contradicts itself"),
        (wav(noise(), align=0), "contradicts itself"),
        (wav(noise(), bits=7, align=8), "contradicts itself"),
        (wav(noise(), size=0), "contains no sound"),
        (wav(noise(), size=80 * FRAMES), r"it should have 1\.00 s of sound, and only 0\.10 s are present"),
        (wav(noise())[:-80], r"it should have 0\.10 s of sound"),
        (wav(noise(), size=8 * FRAMES + 8, guid=B_FORMAT_PCM), "is truncated"),
    ],
)
def test_a_header_that_lies(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert_refused(tmp_path / "a.wav", words)


@pytest.mark.parametrize("header", [{"rate": 0}, {"rate": 2**32 - 48000}, {"channels": 0}, {"channels": 65535}])
def test_a_header_that_is_none(tmp_path: Path, header: dict[str, int]) -> None:
    (tmp_path / "a.wav").write_bytes(wav(noise(), **header))
    with pytest.raises(UserError, match="cannot be read as sound"):
        open_sound(tmp_path / "a.wav")
    with pytest.raises(UserError):
        describe(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000])
def test_a_wav_that_was_written_to_a_pipe_is_read(tmp_path: Path, size: int) -> None:
    """FFmpeg and SoX cannot go back to say how long it became."""
    (tmp_path / "a.wav").write_bytes(wav(noise(), size=size))
    assert read_whole(tmp_path / "a.wav") == FRAMES


def test_the_largest_rate_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(noise(), rate=768_000))
    assert read_whole(tmp_path / "a.wav") == FRAMES


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_was_cut_off(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, noise(10 * FRAMES).T, 48000, format=kind)
    assert read_whole(path) == 10 * FRAMES
    whole = path.read_bytes()
    for share in (0.35, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        assert_refused(path, "is truncated")


def test_a_flac_that_says_more_than_it_has(tmp_path: Path) -> None:
    """Its length stands in 36 bits of the header, and nothing else tells it."""
    path = tmp_path / "a.flac"
    soundfile.write(path, noise().T, 48000, format="FLAC")
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] | 0x0F]) + b"\xff" * 4
    path.write_bytes(content)
    assert_refused(path, "is truncated or damaged")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "not a number"),
        (np.inf, "infinite"),
        (-np.inf, "infinite"),
        (3e38, "too large"),
        (-1e11, "too large"),
    ],
)
def test_samples_that_are_none(tmp_path: Path, value: float, words: str) -> None:
    sound = noise()
    sound[2, 4000] = value
    soundfile.write(tmp_path / "a.wav", sound.T, 48000, "FLOAT")
    assert_refused(tmp_path / "a.wav", words)


def test_denormal_samples_are_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((FRAMES, 4), 1e-42, np.float32), 48000, "FLOAT")
    assert read_whole(tmp_path / "a.wav") == FRAMES


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have paths on POSIX alone")
def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero")):
        assert_refused(path, "is a device or a pipe")
    with pytest.raises(UserError, match="is a folder"):
        open_sound(tmp_path)
    (tmp_path / "text.wav").write_text("no sound\n" * 1000)
    with pytest.raises(UserError, match="cannot be read as sound"):
        open_sound(tmp_path / "text.wav")


SEEDS = [
    wav(noise(64)),
    wav(noise(64), chunk(b"axml", b'typeDefinition="HOA"<order>1</order><degree>-1</degree>'), guid=B_FORMAT_PCM),
    riff(
        chunk(b"ds64", struct.pack("<QQQI", 600, 512, 64, 0)),
        chunk(b"fmt ", form()),
        chunk(b"data", bytes(512), 0xFFFF_FFFF),
        magic=b"RF64",
    ),
]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Small valid files of each form."""
    folder = tmp_path_factory.mktemp("seeds")
    for kind in FORMATS:
        soundfile.write(folder / kind, noise(64).T, 48000, format=kind)
    return [*SEEDS, *((folder / kind).read_bytes() for kind in FORMATS)]


@settings(max_examples=150, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_header_is_more_than_a_message(tmp_path: Path, seeds: list[bytes], data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(seeds)))
    edits = st.tuples(st.integers(0, min(len(content), 220) - 5), st.binary(min_size=1, max_size=4))
    for at, value in data.draw(st.lists(edits, min_size=1, max_size=4)):
        content[at : at + len(value)] = value
    path = tmp_path / "a.wav"
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    with suppress(UserError):
        read_whole(path)
