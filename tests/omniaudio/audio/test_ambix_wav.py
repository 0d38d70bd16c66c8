"""The true peak by signals whose peak is known, files read back by another library, and failing targets."""

import json
import subprocess
import sys
from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import firwin, upfirdn

from omniaudio.audio.ambisonics import Sound
from omniaudio.audio.ambix_wav import AmbixWriter
from omniaudio.audio.loudness import TruePeakMeter, limiter_gain, true_peak
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256, replacing
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions
from support.paths import REPOSITORY

CEILING = 10 ** (-1 / 20)


def noise(samples: int, scale: float = 0.1, channels: int = 4) -> Sound:
    return (scale * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


def write(path: Path, foa: Sound, rate: int = 48000, block: int = 10_000) -> AmbixWriter:
    with AmbixWriter(path, rate, channels=len(foa)) as writer:
        for start in range(0, foa.shape[1], block):
            writer.write(foa[:, start : start + block])
    return writer


class TestTruePeak:
    @pytest.mark.parametrize("rate", [44100, 48000])
    def test_a_quarter_rate_sine_between_its_samples(self, rate: int) -> None:
        """The standard's own example: samples at ±45° of the crest read 3 dB too low."""
        signal = np.sin(2 * pi * np.arange(4800) / 4 + pi / 4) * np.hanning(4800)
        assert np.abs(signal).max() == pytest.approx(sqrt(0.5), rel=1e-3)
        assert 20 * np.log10(true_peak(signal, rate)) == pytest.approx(0, abs=0.1)

    @given(st.floats(0.001, 0.4), st.floats(0, 2 * pi))
    def test_within_the_standards_tolerance_for_any_sine(self, frequency: float, phase: float) -> None:
        """Four times oversampled, a sine of 0.4 of the rate is read at worst 0.44 dB low (BS.1770, annex 2)."""
        signal = np.sin(2 * pi * frequency * np.arange(8000) + phase) * np.hanning(8000)
        assert -0.45 < 20 * np.log10(true_peak(signal, 48000)) < 0.05

    @pytest.mark.parametrize(("rate", "times"), [(8000, 4), (48000, 4), (96000, 2), (192000, 1)])
    @pytest.mark.parametrize("samples", [1, 63, 5000])
    def test_as_by_scipys_oversampling(self, rate: int, times: int, samples: int) -> None:
        signal = noise(samples, 0.3)
        taps = firwin(2 * 16 * times + 1, 1 / times, window=("kaiser", 8.0)) if times > 1 else np.ones(1)
        oversampled = upfirdn(taps / taps.max(), signal, times, axis=1)
        assert true_peak(signal, rate) == pytest.approx(np.abs(oversampled).max(), rel=1e-6)

    def test_blocks_give_the_whole_and_a_cut_is_no_peak(self) -> None:
        signal = noise(5000, 0.3)
        meter = TruePeakMeter(4, 48000)
        for start in range(0, 5000, 7):
            meter.process(signal[:, start : start + 7])
        assert meter.finish() == pytest.approx(true_peak(signal, 48000), rel=1e-6)

    def test_silence(self) -> None:
        assert true_peak(np.zeros((4, 100)), 48000) == 0
        assert limiter_gain(0) == 1

    @given(st.floats(0, 100))
    def test_the_guard_never_amplifies(self, peak: float) -> None:
        assert limiter_gain(peak) <= 1
        assert limiter_gain(peak) * peak <= CEILING * (1 + 1e-12)


class TestAmbixWriter:
    def test_a_quiet_sound_is_written_as_it_is(self, tmp_path: Path) -> None:
        foa = noise(30_000, 0.01)
        writer = write(tmp_path / "a.wav", foa)
        back, rate = soundfile.read(tmp_path / "a.wav")
        assert (rate, writer.gain_db, writer.samples) == (48000, 0.0, 30_000)
        np.testing.assert_allclose(back.T, foa, atol=0.5 / (1 << 23))

    def test_a_loud_one_is_brought_below_the_ceiling_with_its_proportions(self, tmp_path: Path) -> None:
        foa = noise(30_000, 0.8)
        writer = write(tmp_path / "a.wav", foa)
        back = soundfile.read(tmp_path / "a.wav")[0].T
        assert writer.gain_db < -3
        assert writer.true_peak_dbtp == pytest.approx(-1, abs=1e-9)
        assert 20 * np.log10(true_peak(back, 48000)) == pytest.approx(-1, abs=1e-3)
        np.testing.assert_allclose(back, foa * 10 ** (writer.gain_db / 20), atol=1e-6)

    def test_the_file_is_plain_pcm_without_a_speaker_mask(self, tmp_path: Path) -> None:
        write(tmp_path / "a.wav", noise(100))
        header = (tmp_path / "a.wav").read_bytes()[:36]
        assert header[:4] + header[8:16] == b"RIFFWAVEfmt "
        chunk_size, form, channels, rate = np.frombuffer(header[16:28], "<u4,<u2,<u2,<u4")[0]
        assert (chunk_size, form, channels, rate) == (
            16,
            1,
            4,
            48000,
        )  # Form 1 is PCM; a mask needs the extensible one.
        assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_24"

    def test_the_same_sound_gives_the_same_bytes_in_any_blocks(self, tmp_path: Path) -> None:
        write(tmp_path / "a.wav", noise(5000, 0.9), block=5000)
        write(tmp_path / "b.wav", noise(5000, 0.9), block=13)
        assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()

    def test_silence_stays_silence(self, tmp_path: Path) -> None:
        writer = write(tmp_path / "a.wav", np.zeros((4, 1000), np.float32))
        assert (writer.gain_db, writer.true_peak_dbtp) == (0.0, None)
        assert not soundfile.read(tmp_path / "a.wav")[0].any()

    def test_two_channels_for_the_preview(self, tmp_path: Path) -> None:
        write(tmp_path / "a.wav", noise(1000, channels=2), rate=44100)
        assert soundfile.info(tmp_path / "a.wav").channels == 2

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError, FileNotFoundError])
    def test_an_interruption_leaves_what_was_there(self, tmp_path: Path, interruption: type[BaseException]) -> None:
        target = tmp_path / "a.wav"
        target.write_text("the last good take")

        def interrupted() -> None:
            with AmbixWriter(target, 48000) as writer:
                writer.write(noise(1000))
                raise interruption

        with pytest.raises(interruption):
            interrupted()
        assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
        assert target.read_text() == "the last good take"

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_no_nan_is_delivered(self, tmp_path: Path, bad: float) -> None:
        with pytest.raises(ValueError, match="infinite or NaN"):
            write(tmp_path / "a.wav", np.full((4, 10), bad, np.float32))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("target", ["missing/a.wav", "a_file/a.wav", "a_folder", "x" * 300 + ".wav"])
    def test_an_unwritable_target_is_told_before_anything_is_computed(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "a_file").touch()
        (tmp_path / "a_folder").mkdir()
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UserError, match="cannot be written") as caught, AmbixWriter(tmp_path / target, 48000):
            pytest.fail("it was entered")
        assert caught.value.code == ExitCode.NOT_WRITABLE
        assert sorted(tmp_path.rglob("*")) == before

    def test_what_a_wav_cannot_hold_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("omniaudio.audio.ambix_wav.WAV_LIMIT", 12_000)
        write(tmp_path / "a.wav", noise(1000))
        with pytest.raises(UserError, match="4 GB") as caught:
            write(tmp_path / "b.wav", noise(1001))
        assert caught.value.code == ExitCode.NOT_WRITABLE
        assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]

    @pytest.mark.skipif(sys.platform == "win32", reason="limits a process's files by a POSIX call")
    @pytest.mark.parametrize("full_after", [0, 40])
    def test_a_full_disk_while_spooling_and_while_finishing(self, tmp_path: Path, full_after: int) -> None:
        """40 blocks of 1000 samples are 640 kB while they wait and 480 kB in the end; then no file may pass 100 kB."""
        script = f"""
import resource, sys
from pathlib import Path
import numpy as np
from omniaudio.audio.ambix_wav import AmbixWriter
from omniaudio.errors import UserError
try:
    with AmbixWriter(Path(sys.argv[1]) / "a.wav", 48000) as writer:
        for block in range(41):
            if block == {full_after}:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            if block < 40:
                writer.write(np.zeros((4, 1000), np.float32))
except UserError as error:
    print(error.code.name, error.message)
"""
        run = subprocess.run(
            [sys.executable, "-c", script, tmp_path],
            capture_output=True,
            text=True,
            check=True,
            cwd=REPOSITORY,
        )
        assert run.stdout.startswith("NOT_WRITABLE")
        assert "File too large" in run.stdout
        assert not list(tmp_path.iterdir())


class TestReplacing:
    def test_a_file_appears_only_when_it_is_whole(self, tmp_path: Path) -> None:
        target = tmp_path / "map.png"
        with replacing(target) as partial:
            assert partial.suffix == ".png"
            partial.write_text("whole")
            assert not target.exists()
        assert target.read_text() == "whole"

    def test_new_files_have_the_rights_that_the_user_gives_to_files(self, tmp_path: Path) -> None:
        (tmp_path / "usual").touch()
        with replacing(tmp_path / "ours"):
            pass
        assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


class TestSidecar:
    @pytest.fixture
    @staticmethod
    def sidecar() -> Sidecar:
        return Sidecar(
            model_sha256="0" * 64,
            options=GenerationOptions(model="draft", backend="onnxruntime", seed=7, steps=24, guidance=3.0, takes=2),
            start=0,
            duration=10,
            rate=48000,
            input="clip.mp4",
            input_sha256="1" * 64,
            gain_db=-0.5,
            true_peak_dbtp=None,
        )

    def test_round_trip(self, sidecar: Sidecar, tmp_path: Path) -> None:
        sidecar.write(tmp_path / "a.json")
        assert Sidecar.read(tmp_path / "a.json") == sidecar
        plain = json.loads((tmp_path / "a.json").read_text())
        assert plain["convention"] == "AmbiX ACN/SN3D"
        assert plain["versions"]["numpy"] == np.__version__
        assert plain["options"]["steps"] == 24

    @pytest.mark.parametrize("text", ["", "{}", "[1]", '{"model": 3}', "\x00\xff"])
    def test_another_file_is_refused_by_name(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "a.json").write_text(text, encoding="latin-1")
        with pytest.raises(UserError, match=r"a\.json is not a sidecar of OmniAudio"):
            Sidecar.read(tmp_path / "a.json")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="There is no file") as caught:
            Sidecar.read(tmp_path / "a.json")
        assert caught.value.code == ExitCode.NO_INPUT


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
