"""Describing files: conventions of sounds that we encode ourselves and of a real recording, and real footage."""

import json
from math import pi
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console
from typer.testing import CliRunner

from omniaudio.analysis.inspect import PanoramaReport, SoundReport, as_text, describe, guess_convention
from omniaudio.audio.ambisonics import Convention, Sound, convert, encode
from omniaudio.audio.ambix_wav import AmbixWriter
from omniaudio.cli import application
from omniaudio.errors import ExitCode, UserError
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions

RATE = 16000


def scene(seconds: float = 3.0, elevation_spread: float = 0.3) -> Sound:
    """Six independent sources all around, near the horizon."""
    generator = np.random.default_rng(5)
    samples = round(seconds * RATE)
    places = zip(np.linspace(0, 2 * pi, 6, endpoint=False), generator.normal(0, elevation_spread, 6), strict=True)
    sources = [encode(0.03 * generator.standard_normal(samples), azimuth, elevation) for azimuth, elevation in places]
    return np.asarray(np.sum(sources, axis=0), np.float32)


def stored(path: Path, channels: Sound) -> Path:
    soundfile.write(path, channels.T, RATE, subtype="PCM_24")
    return path


def described(path: Path) -> SoundReport:
    report = describe(path)
    assert isinstance(report, SoundReport)
    return report


def printed(path: Path) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(as_text(describe(path)))
    return capture.get()


@pytest.mark.parametrize("convention", [Convention.AMBIX, Convention.N3D, Convention.FUMA])
def test_the_convention_of_a_scene_is_guessed(tmp_path: Path, convention: Convention) -> None:
    path = stored(tmp_path / "a.wav", convert(scene(), Convention.AMBIX, convention))
    guess = described(path).convention
    assert guess.convention == convention
    assert 0.5 < guess.sure < 1


def test_the_labels_order_is_told_where_nothing_comes_from_above(tmp_path: Path) -> None:
    flat = convert(scene(elevation_spread=0), Convention.AMBIX, Convention.WXYZ)
    guess = described(stored(tmp_path / "a.wav", flat)).convention
    assert guess.convention == Convention.WXYZ
    assert guess.sure < 0.8  # Rare, and AmbiX of sources above looks much the same.


def test_a_furse_malham_recording_in_ogg(tmp_path: Path) -> None:
    """One source among quieter ones all around; Ogg declares no convention."""
    azimuth = np.radians(38.7)
    voice = encode(0.1 * np.random.default_rng(2).standard_normal(round(22.5 * RATE)), azimuth, 0)
    path = tmp_path / "recording.ogg"
    soundfile.write(path, convert(scene(22.5) + voice, Convention.AMBIX, Convention.FUMA).T, RATE)
    report = described(path)
    assert report.convention.convention == Convention.FUMA
    assert report.azimuth == pytest.approx(38.7, abs=2)
    assert report.seconds == pytest.approx(22.5)
    assert len(report.track) == 23


def test_a_real_furse_malham_recording(shared: Path) -> None:
    report = described(shared / "media" / "fuma_dog_foa.ogg")
    assert report.convention.convention == Convention.FUMA
    assert report.convention.sure > 0.7
    assert report.azimuth == pytest.approx(38.7, abs=0.5)  # As the intensity of the file, read as Furse-Malham, says.
    assert report.elevation == pytest.approx(0, abs=1)
    assert report.seconds == pytest.approx(963746 / 44100)
    assert len(report.track) == 22


def test_silence_in_w_tells_nothing() -> None:
    assert guess_convention(np.zeros((4, 4))).sure == 0


def test_a_sidecar_says_the_convention(tmp_path: Path) -> None:
    path = stored(tmp_path / "take.ambix.wav", convert(scene(), Convention.AMBIX, Convention.FUMA))
    assert described(path).convention.convention == Convention.FUMA
    options = GenerationOptions(model="draft", backend="torch", seed=7, steps=1, guidance=1)
    sidecar = Sidecar(
        model_sha256="",
        options=options,
        start=0,
        duration=1,
        rate=RATE,
        input="a.mp4",
        input_sha256="",
        gain_db=0,
        true_peak_dbtp=0,
    )
    sidecar.write(tmp_path / "take.ambix.json")
    guess = described(path).convention
    assert (guess.convention, guess.sure) == (Convention.AMBIX, 1)
    assert "take.ambix.json" in guess.reason
    origin = described(path).origin
    assert origin is not None
    assert (origin.model, origin.seed, origin.take, origin.convention) == ("draft", 7, 1, "AmbiX ACN/SN3D")
    assert "draft, seed 7, take 1" in printed(path)
    (tmp_path / "take.ambix.json").write_text("{}")  # Somebody else's file says nothing.
    assert described(path).convention.sure < 1
    assert described(path).origin is None


def test_a_b_format_file_is_declared_by_its_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.amb", scene().T, RATE, subtype="PCM_16", format="WAV")
    assert described(tmp_path / "a.amb").convention.convention == Convention.FUMA


def test_a_b_format_header_is_declared(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", scene().T, RATE, subtype="PCM_16", format="WAVEX")
    plain = (tmp_path / "a.wav").read_bytes()
    sub_format = bytes.fromhex("0100000000001000800000aa00389b71")
    assert plain.count(sub_format) == 1
    b_format = bytes.fromhex("010000002107d3118644c8c1ca000000")
    (tmp_path / "a.wav").write_bytes(plain.replace(sub_format, b_format))
    guess = described(tmp_path / "a.wav").convention
    assert (guess.convention, guess.sure) == (Convention.FUMA, 1)


def test_direction_through_time_in_whatever_convention(tmp_path: Path) -> None:
    """A source that steps 40° a second and is told the same from AmbiX and from Furse-Malham."""
    generator = np.random.default_rng(6)
    azimuths = np.radians([-80, -40, 0, 40, 80, 120])
    source = [encode(0.1 * generator.standard_normal(RATE), azimuth, 0.2) for azimuth in azimuths]
    foa = np.hstack(source)
    tracks = []
    for convention in (Convention.AMBIX, Convention.FUMA):
        report = described(stored(tmp_path / "a.wav", convert(foa, Convention.AMBIX, convention)))
        assert report.convention.convention == convention
        tracks.append(report.track)
    assert [moment.azimuth for moment in tracks[0]] == pytest.approx(np.degrees(azimuths), abs=0.1)
    assert [moment.elevation for moment in tracks[0]] == pytest.approx([np.degrees(0.2)] * 6, abs=0.1)
    assert max(moment.diffuseness or 0 for moment in tracks[0]) < 0.01
    assert [moment.azimuth for moment in tracks[1]] == pytest.approx(np.degrees(azimuths), abs=0.1)


def test_levels(tmp_path: Path) -> None:
    time = np.arange(2 * RATE) / RATE
    foa = encode(0.5 * np.sin(2 * pi * 400 * time), 0.5, 0)
    foa[1] += 0.01
    report = described(stored(tmp_path / "a.wav", foa))
    assert report.rms_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert report.true_peak_dbtp == pytest.approx(20 * np.log10(0.5), abs=0.1)
    assert report.dc_dbfs == pytest.approx(-40, abs=0.01)
    assert not report.silent


def test_silence_is_told(tmp_path: Path) -> None:
    with AmbixWriter(tmp_path / "a.wav", RATE) as writer:
        writer.write(np.zeros((4, 2 * RATE), np.float32))
    report = described(tmp_path / "a.wav")
    assert report.silent
    assert (report.azimuth, report.rms_dbfs, report.true_peak_dbtp, report.dc_dbfs) == (None, None, None, None)
    json.loads(report.model_dump_json())


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_other_numbers_of_channels_are_refused(tmp_path: Path, channels: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, channels)), RATE)
    with pytest.raises(UserError, match=f"has {channels} channels, but first-order ambisonics has 4"):
        describe(tmp_path / "a.wav")


def test_an_empty_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no sound"):
        describe(stored(tmp_path / "a.wav", np.zeros((4, 0), np.float32)))


def test_what_is_neither(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        describe(tmp_path / "missing.wav")
    assert caught.value.code == ExitCode.NO_INPUT
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(UserError):
        describe(tmp_path / "a.wav")


def test_360_footage(footage: Path) -> None:
    report = describe(footage)
    assert isinstance(report, PanoramaReport)
    assert report.is_panorama
    assert report.clip.frame_width == 2 * report.clip.frame_height


def test_the_command_prints_text_and_json(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.wav", scene())
    told = CliRunner().invoke(application(), ["inspect", str(path)])
    assert told.exit_code == 0
    assert "AmbiX (W Y Z X, SN3D)" in told.output
    as_json = CliRunner().invoke(application(), ["inspect", "--json", str(path)])
    assert SoundReport.model_validate_json(as_json.output) == describe(path)


def test_a_long_sound_is_told_in_few_lines(tmp_path: Path) -> None:
    report = described(stored(tmp_path / "a.wav", scene(25)))
    assert len(report.track) == 25
    assert len(printed(tmp_path / "a.wav").splitlines()) < 25


def test_brackets_in_a_name_are_shown(tmp_path: Path) -> None:
    path = stored(tmp_path / "take[red].wav", scene(1))
    assert "take[red].wav" in printed(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused_and_not_called_silent(tmp_path: Path, bad: float) -> None:
    foa = scene(1)
    foa[2, 5] = bad
    soundfile.write(tmp_path / "a.wav", foa.T, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="infinite or not a number"):
        describe(tmp_path / "a.wav")


def test_sound_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(UserError) as caught:
        describe(tmp_path / "a.raw")
    assert caught.value.code == ExitCode.NOT_A_VIDEO
