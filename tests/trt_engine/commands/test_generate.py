"""`omniaudio generate` as a user meets it: real files in, files or one message and an exit code out."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from omniaudio import cli
from omniaudio.errors import ExitCode
from omniaudio.model_zoo import registry
from omniaudio.video.probe import probe
from support.videos import truncate, write_noise_video


class Outcome:
    """What a run of the command left: exit code, standard output and standard error."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def generate(model: registry.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process, with the small model unless another is named."""

    def run(*arguments: str | Path) -> Outcome:
        named = () if "--model" in arguments else ("--model", str(model.folder))
        monkeypatch.setattr(sys, "argv", ["omniaudio", "generate", *map(str, arguments), *named])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def write_video(path: Path, image: np.ndarray, seconds: float, fps: int = 10, codec: str = "mpeg4") -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for index in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.roll(image, index, axis=1))
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clip(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panorama that turns, 5 s."""
    image = np.asarray(Image.open(panorama).resize((256, 128)))
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", image, 5.0)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(
    "backend",
    ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow), pytest.param("torch", marks=pytest.mark.slow)],
)
def test_a_clip_becomes_sound_preview_map_and_sidecar(
    generate, model: registry.Model, clip: Path, tmp_path: Path, backend: str
) -> None:
    outcome = generate(clip, "-o", tmp_path / "out.wav", "--backend", backend)
    assert outcome.code == 0, outcome.err
    assert files(tmp_path) == ["out.json", "out.map.png", "out.preview.wav", "out.wav"]
    sound, rate = soundfile.read(tmp_path / "out.wav", always_2d=True)
    assert (sound.shape, rate) == ((5 * 44100, 4), 44100)
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_24"
    assert soundfile.info(tmp_path / "out.preview.wav").channels == 2
    assert soundfile.info(tmp_path / "out.preview.wav").frames == 5 * 44100
    assert np.isfinite(sound).all()
    assert 1e-4 < np.abs(sound).max() <= 10 ** (-1 / 20)
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert sidecar["options"]["backend"] == backend
    assert sidecar["options"]["model"] == model.name


@pytest.mark.slow
def test_takes_rate_range_and_length(generate, clip: Path, tmp_path: Path) -> None:
    outcome = generate(
        clip, "-o", tmp_path / "out.wav", "--takes", "2", "--rate", "48000", "--start", "1.5", "--duration", "2.345"
    )
    assert outcome.code == 0, outcome.err
    names = ["out.json", "out.map.png", "out.preview.wav", "out.wav"]
    assert files(tmp_path) == sorted([*names, *(name.replace("out", "out.take2") for name in names)])
    takes = [soundfile.read(tmp_path / name)[0] for name in ("out.wav", "out.take2.wav")]
    assert takes[0].shape == (round(2.345 * 48000), 4)
    assert np.abs(takes[0] - takes[1]).max() > 0.01 * np.abs(takes[0]).max()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_sidecar_repeats_its_take_to_the_bit(
    generate, model: registry.Model, clip: Path, tmp_path: Path, backend: str
) -> None:
    wanted = ("--takes", "2", "--seed", "7", "--backend", backend, "--duration", "3", "--rate", "48000")
    assert generate(clip, "-o", tmp_path / "out.wav", *wanted).code == 0
    for name in ("out", "out.take2"):
        repeated = tmp_path / "repeated"
        repeated.mkdir()
        outcome = generate("--reproduce", tmp_path / f"{name}.json", "-o", repeated / "out.wav")
        assert outcome.code == 0, outcome.err
        for ending in (".wav", ".preview.wav", ".map.png"):
            assert (repeated / f"out{ending}").read_bytes() == (tmp_path / f"{name}{ending}").read_bytes()
        shutil.rmtree(repeated)


@pytest.mark.slow
def test_a_sidecar_refuses_another_input_and_other_options(generate, clip: Path, tmp_path: Path) -> None:
    moved = shutil.copy(clip, tmp_path / "moved.mp4")
    assert generate(moved, "-o", tmp_path / "out.wav", "--duration", "1", "--no-map").code == 0
    with moved.open("ab") as file:
        file.write(b"\0")
    outcome = generate("--reproduce", tmp_path / "out.json")
    assert outcome.code == ExitCode.NO_INPUT
    assert "hash differs" in outcome.err
    elsewhere = generate("--reproduce", tmp_path / "out.json", clip, "-o", tmp_path / "repeated.wav")
    assert elsewhere.code == 0, elsewhere.err
    assert (tmp_path / "repeated.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()
    outcome = generate("--reproduce", tmp_path / "out.json", "--seed", "3")
    assert outcome.code == ExitCode.FAILED
    assert "--seed" in outcome.err
    moved.unlink()
    outcome = generate("--reproduce", tmp_path / "out.json")
    assert outcome.code == ExitCode.NO_INPUT
    assert "moved.mp4" in outcome.err


def test_json_events(generate, clip: Path, tmp_path: Path) -> None:
    outcome = generate(clip, "-o", tmp_path / "out.wav", "--json", "--duration", "2")
    assert outcome.code == 0
    *progress, done = outcome.events
    assert {event["event"] for event in progress} == {"progress"}
    assert [*dict.fromkeys(event["stage"] for event in progress)] == ["looking", "sampling", "decoding"]
    assert progress[-1]["fraction"] == 1
    assert done["event"] == "done"
    (take,) = done["takes"]
    assert Path(take["sound"]) == tmp_path / "out.wav"
    assert take["samples"] == 2 * 44100
    outcome = generate(tmp_path / "none.mp4", "--json")
    (event,) = outcome.events
    assert outcome.code == event["code"] == ExitCode.NO_INPUT
    assert event["event"] == "error"
    assert "none.mp4" in event["message"]


@pytest.fixture
def bad(tmp_path: Path, clip: Path) -> dict[str, Path]:
    """Inputs that no sound can be made of."""
    text = tmp_path / "text.mp4"
    text.write_text("not a video at all\n" * 100)
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(44100))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    flat = tmp_path / "flat.png"
    Image.fromarray(np.full((480, 640, 3), 99, np.uint8)).save(flat)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    return {"text": text, "sound": sound, "cut": cut, "flat": flat, "empty": empty, "none": tmp_path / "none.mp4"}


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("none", ExitCode.NO_INPUT, "no file"),
        ("text", ExitCode.NOT_A_VIDEO, "not a readable video"),
        ("empty", ExitCode.NOT_A_VIDEO, "empty.mp4"),
        ("sound", ExitCode.NOT_A_VIDEO, "has no video stream"),
        ("cut", ExitCode.NOT_A_VIDEO, "cut off"),
        ("flat", ExitCode.NOT_360, "not a 360° panorama"),
    ],
)
def test_bad_inputs(  # noqa: PLR0917 - pytest names them
    generate, bad: dict[str, Path], tmp_path: Path, name: str, code: ExitCode, words: str
) -> None:
    before = files(tmp_path)
    outcome = generate(bad[name], "-o", tmp_path / "out.wav", "--duration", "1")
    assert outcome.code == code
    assert words in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert files(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf8_is_refused_first(generate, clip: Path, tmp_path: Path) -> None:
    latin = shutil.copy(clip, tmp_path / "bad\udcff.mp4")
    for arguments in ((latin,), (clip, "-o", tmp_path / "out\udcff.wav"), (clip, "-o", tmp_path / "f\udcff" / "a.wav")):
        outcome = generate(*arguments, "--json")
        (event,) = outcome.events
        assert "a name that is not UTF-8, or is in" in str(event["message"])
        assert r"\xff" in str(event["message"])
    assert files(tmp_path) == ["bad\udcff.mp4"]


def test_a_flat_image_is_accepted_with_force(generate, bad: dict[str, Path], tmp_path: Path) -> None:
    arguments = ("--duration", "1", "--force", "--no-map", "--no-preview")
    assert generate(bad["flat"], "-o", tmp_path / "out.wav", *arguments).code == 0


def test_a_clip_that_was_cut_off(generate, tmp_path: Path) -> None:
    clip = truncate(write_noise_video(tmp_path / "cut.mp4", movflags="faststart"))
    wanted = (clip, "-o", tmp_path / "out.wav", "--force", "--no-map", "--no-preview", "--steps", "1")
    outcome = generate(*wanted)
    assert outcome.code == ExitCode.TRUNCATED
    assert "its header says 6.00 s" in outcome.err
    assert "--allow-truncated" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert generate(*wanted, "--duration", "1").code == 0
    assert generate(*wanted, "--allow-truncated").code == 0
    assert soundfile.info(tmp_path / "out.wav").duration == pytest.approx(probe(clip).duration, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--duration", "0"), ExitCode.BAD_RANGE, "must be above 0 s"),
        (("--duration", "nan"), ExitCode.BAD_RANGE, "must be above 0 s"),
        (("--duration", "0.000001"), ExitCode.BAD_RANGE, "less than one sample"),
        (("--start", "-1"), ExitCode.BAD_RANGE, "must be 0 s or later"),
        (("--start", "99"), ExitCode.BAD_RANGE, "5.00 s long"),
        (("--start", "4", "--duration", "2"), ExitCode.BAD_RANGE, "1.00 s are available"),
        (("--model", "nonsense"), ExitCode.NO_MODEL, "nonsense"),
        (("--model", "omniaudio"), ExitCode.NO_MODEL, "omniaudio models download omniaudio"),
        (("--backend", "nonsense"), ExitCode.NO_BACKEND, "nonsense"),
        (("--rate", "1"), ExitCode.FAILED, "--rate"),
        (("--steps", "0"), ExitCode.FAILED, "--steps"),
        (("--takes", "0"), ExitCode.FAILED, "--takes"),
        (("--seed", "-1"), ExitCode.FAILED, "--seed"),
        (("--guidance", "nan"), ExitCode.FAILED, "--guidance cannot be nan"),
        (("--guidance", "inf"), ExitCode.FAILED, "--guidance cannot be inf"),
        (("--takes", "17"), ExitCode.FAILED, "--takes"),
        (("--model", "a" * 5000), ExitCode.FAILED, "--model cannot be"),
    ],
)
def test_bad_options(  # noqa: PLR0917 - pytest names them
    generate, clip: Path, tmp_path: Path, arguments: tuple[str, ...], code: ExitCode, words: str
) -> None:
    outcome = generate(clip, "-o", tmp_path / "out.wav", *arguments)
    assert outcome.code == code
    assert words in outcome.err
    assert not files(tmp_path)


def test_no_input_and_a_still_without_a_duration(generate, panorama: Path, tmp_path: Path) -> None:
    assert generate().code == ExitCode.NO_INPUT
    outcome = generate(panorama, "-o", tmp_path / "out.wav")
    assert outcome.code == ExitCode.BAD_RANGE
    assert "--duration" in outcome.err


def test_targets_that_cannot_be_written(generate, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    for target in (tmp_path / "none" / "out.wav", tmp_path / "file" / "out.wav", tmp_path / "folder.wav"):
        outcome = generate(clip, "-o", target)
        assert outcome.code == ExitCode.NOT_WRITABLE
        assert str(target) in outcome.err
    assert generate(clip, "-o", tmp_path / "out.mp3").code == ExitCode.NOT_WRITABLE
    assert files(tmp_path) == ["file", "folder.wav"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(generate, clip: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert generate(clip, "-o", tmp_path / "out.wav").code == ExitCode.NOT_WRITABLE
    finally:
        tmp_path.chmod(0o700)


def start(model: registry.Model, *arguments: str | Path, file_limit: int | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own."""

    def limit() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    command = [sys.executable, "-m", "omniaudio.cli", "generate", *map(str, arguments), "--model", str(model.folder)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,  # noqa: PLW1509
    )


@pytest.mark.slow
def test_a_full_target_leaves_nothing(model: registry.Model, clip: Path, tmp_path: Path) -> None:
    """The system refuses to write beyond 1 MB, as it does on a full disk."""
    with start(model, clip, "-o", tmp_path / "out.wav", file_limit=1_000_000) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == ExitCode.NOT_WRITABLE, err
    assert str(tmp_path) in err
    assert ".omniaudio-" not in err
    assert not files(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["sampling", "decoding"])
def test_a_signal_leaves_nothing(
    model: registry.Model, clip: Path, tmp_path: Path, number: signal.Signals, stage: str
) -> None:
    with start(model, clip, "-o", tmp_path / "out.wav", "--json", "--takes", "4") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == stage:
                break
        process.send_signal(number)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.CANCELLED, err
    assert time.monotonic() - began < 20
    assert json.loads(out.splitlines()[-1]) == {"event": "error", "message": "Cancelled.", "code": 130}
    assert "Traceback" not in err
    assert not files(tmp_path)
