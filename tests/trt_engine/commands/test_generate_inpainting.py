"""`omniaudio generate --inpaint`: a range of a take generated again, with the model, for real frames."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from omniaudio.errors import ExitCode
from omniaudio.generation import takes
from omniaudio.generation.inpainting import FADE_SECONDS, Inpainting
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.request import Request
from omniaudio.model_zoo import registry
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions
from support.command_line import Outcome, omniaudio
from support.paths import REPOSITORY
from trt_engine.runtime.open import open_pipeline

VENICE = REPOSITORY / "demo" / "assets" / "venice.jpg"
Run = Callable[..., Outcome]
Array = np.ndarray


@pytest.fixture
def run(model: registry.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process."""
    command = partial(omniaudio, monkeypatch, capsys, "generate")
    return lambda *words: command(*words, "--model", model.folder, "--no-map")


@pytest.fixture(scope="session")
def take(model: registry.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of Venice, at another rate than the model's."""
    path = tmp_path_factory.mktemp("takes") / "venice.wav"
    wanted = Request(
        input=VENICE,
        output=path,
        duration=10.0,
        rate=48_000,
        options=GenerationOptions(seed=3, preview=False, map=False),
    )
    takes.generate(wanted, open_pipeline(model, "onnxruntime"), lambda report: None)
    return path


def integers(path: Path) -> tuple[Array, int]:
    """(4, samples) as 24-bit numbers, and the rate."""
    sound, rate = soundfile.read(path, dtype="int32")
    return sound.T >> 8, rate


def level(sound: Array) -> float:
    """In dB, of W."""
    return float(10 * np.log10(np.mean(sound[0].astype(float) ** 2) + 1e-9))


def assert_inpainted(take: Path, made: Path, start: float, end: float) -> None:
    """It is the take outside of the part, another sound inside, and continuous where the two meet."""
    (old, rate), (new, its_rate) = integers(take), integers(made)
    begin, finish = round(start * rate), round(end * rate)
    assert (new.shape, its_rate) == (old.shape, rate)
    np.testing.assert_array_equal(new[:, :begin], old[:, :begin])
    np.testing.assert_array_equal(new[:, finish:], old[:, finish:])
    fade = round(FADE_SECONDS * rate)
    inside = slice(begin + fade, finish - fade)
    alike = np.corrcoef(old[0, inside], new[0, inside])[0, 1]
    assert abs(alike) < 0.5, "it is another sound"
    assert abs(level(new[:, inside]) - level(old)) < 20
    steps = np.abs(np.diff(new.astype(float), axis=1))
    for edge in (begin, finish):
        if 0 < edge < new.shape[1]:
            # A click is a step that its surroundings do not have.
            around = np.r_[steps[:, edge - rate // 4 : edge - 8].T, steps[:, edge + 8 : edge + rate // 4].T]
            assert (steps[:, edge - 2 : edge + 2].max(1) <= around.max(0)).all()


@pytest.mark.parametrize(
    "backend",
    ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow), pytest.param("torch", marks=pytest.mark.slow)],
)
def test_a_part_is_another_sound_and_the_rest_stays_to_the_bit(
    run: Run, take: Path, tmp_path: Path, backend: str
) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    out = tmp_path / "out.wav"
    words = (VENICE, "-o", out, "--inpaint", take, "--range", "4:7", "--seed", "5", "--backend", backend, "--json")
    outcome = run(*words)
    assert outcome.code == 0, outcome.err
    assert_inpainted(take, out, 4.0, 7.0)
    preview, rate = soundfile.read(tmp_path / "out.preview.wav")
    assert (preview.shape, rate) == ((480_000, 2), 48_000)
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert (sidecar["inpainting"]["start"], sidecar["inpainting"]["duration"]) == (4.0, 3.0)
    assert (tmp_path / sidecar["inpainting"]["sound"]).resolve() == take.resolve()
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert {"sampling", "decoding"} <= {event.get("stage") for event in events}

    # The same seed and the sidecar reproduce it.
    first = out.read_bytes()
    assert run(*words[:2], tmp_path / "twice.wav", *words[3:]).code == 0
    assert (tmp_path / "twice.wav").read_bytes() == first
    repeated = run("--reproduce", tmp_path / "out.json", "-o", tmp_path / "repeated.wav")
    assert repeated.code == 0, repeated.err
    assert (tmp_path / "repeated.wav").read_bytes() == first


@pytest.mark.slow
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (8.5, 10.0), (0.5, 9.7), (0.0, 10.0)])
def test_a_part_may_lie_anywhere_and_has_takes(run: Run, take: Path, tmp_path: Path, start: float, end: float) -> None:
    out = tmp_path / "out.wav"
    outcome = run(
        VENICE, "-o", out, "--inpaint", take, "--range", f"{start}:{end}", "--takes", "2", "--seed", "3",
        "--steps", "6", "--no-preview",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    variants = out, tmp_path / "out.take2.wav"
    for variant in variants:
        assert_inpainted(take, variant, start, end)
    assert variants[0].read_bytes() != variants[1].read_bytes()
    repeated = run("--reproduce", tmp_path / "out.take2.json", "-o", tmp_path / "repeated.wav", "--no-preview")
    assert repeated.code == 0, repeated.err
    assert (tmp_path / "repeated.wav").read_bytes() == variants[1].read_bytes()


@pytest.mark.slow
def test_footage_by_the_start_that_the_take_was_made_with(run: Run, footage: Path, tmp_path: Path) -> None:
    """The command finds it in the sidecar beside the take; without one it is asked for."""
    clip, whole = footage, tmp_path / "whole.wav"
    assert run(clip, "-o", whole, "--start", "20", "--duration", "8", "--steps", "6", "--no-preview").code == 0
    words = (clip, "--range", "2:5", "--steps", "6", "--no-preview", "--inpaint")
    assert run(*words, whole, "-o", tmp_path / "part.wav").code == 0
    assert_inpainted(whole, tmp_path / "part.wav", 2.0, 5.0)
    assert json.loads((tmp_path / "part.json").read_text())["start"] == 20
    bare = shutil.copy(whole, tmp_path / "bare.wav")
    assert run(*words, bare, "--start", "20", "-o", tmp_path / "same.wav").code == 0
    assert json.loads((tmp_path / "same.json").read_text())["start"] == 20


@pytest.mark.slow
def test_a_part_of_a_take_with_gain_reduction_has_the_same_gain(run: Run, take: Path, tmp_path: Path) -> None:
    """As the limiter does to a take with one loud event: the new part keeps its level relative to the rest."""
    sound, rate = soundfile.read(take)
    lowered, gain_db = tmp_path / "lowered.wav", -14.0
    soundfile.write(lowered, sound * 10 ** (gain_db / 20), rate, subtype="PCM_24")
    kept = Sidecar.read(take.with_suffix(".json"))
    assert kept.gain_db == 0, "else its own would count as well"
    kept.model_copy(update={"gain_db": gain_db}).write(lowered.with_suffix(".json"))
    words = ("--range", "4:7", "--seed", "5", "--steps", "6", "--no-preview")
    levels = {}
    for name, source in (("as_made", take), ("turned_down", lowered)):
        assert run(VENICE, "-o", tmp_path / f"{name}.wav", "--inpaint", source, *words).code == 0
        assert_inpainted(source, tmp_path / f"{name}.wav", 4.0, 7.0)
        levels[name] = level(integers(tmp_path / f"{name}.wav")[0][:, round(4.1 * rate) : round(6.9 * rate)])
    assert levels["turned_down"] - levels["as_made"] == pytest.approx(gain_db, abs=0.5)

    # It repeats by what its own sidecar says, also where the take's lies elsewhere.
    lowered.with_suffix(".json").rename(tmp_path / "elsewhere.json")
    assert run("--reproduce", tmp_path / "turned_down.json", "-o", tmp_path / "twice.wav", "--no-preview").code == 0
    assert (tmp_path / "twice.wav").read_bytes() == (tmp_path / "turned_down.wav").read_bytes()


@pytest.mark.slow
def test_only_what_is_near_is_looked_at_and_sampled(
    model: registry.Model, panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three seconds of a long take cost one window."""
    stages = open_pipeline(model, "onnxruntime")
    rate, minutes = stages.config.sample_rate, 3
    long = tmp_path / "long.wav"
    quiet = 0.01 * np.random.default_rng(0).standard_normal((minutes * 60 * rate, 4))
    soundfile.write(long, quiet, rate, subtype="PCM_24")
    windows = []
    sample = type(stages).sample

    def watched(own: Stages, start: Array, plan: object, *more: object, **named: object) -> Array:
        windows.append(plan)
        return sample(own, start, plan, *more, **named)

    monkeypatch.setattr(type(stages), "sample", watched)
    wanted = Request(
        input=panorama,
        output=tmp_path / "out.wav",
        force=True,
        inpainting=Inpainting(sound=long, start=100.0, duration=0.4 * stages.config.duration),
        options=GenerationOptions(steps=2, preview=False, map=False),
    )
    takes.generate(wanted, stages, lambda report: None)
    assert [len(plan.windows) for plan in windows] == [1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--range", "1:2"], "give both"),
        (["--inpaint", "TAKE"], "give both"),
        (["--inpaint", "TAKE", "--range", "1-2"], "--range cannot be 1-2"),
        (["--inpaint", "TAKE", "--range", "2:1"], "--range cannot be 2:1"),
        (["--inpaint", "TAKE", "--range", "9:11"], "is not within venice.wav, which is 10 s long"),
        (["--inpaint", "TAKE", "--range", "1:1.1"], "too short"),
        (["--inpaint", "TAKE", "--range", "1:2", "--rate", "44100"], "leave out --rate"),
        (["--inpaint", "TAKE", "--range", "1:2", "--duration", "9"], "not 9 s"),
        (["--inpaint", "missing.wav", "--range", "1:2"], "There is no file missing.wav"),
    ],
)
def test_what_cannot_be_is_one_message_and_no_file(
    run: Run, take: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    outcome = run(VENICE, "-o", tmp_path / "out.wav", *[take if word == "TAKE" else word for word in words])
    assert outcome.code in {ExitCode.FAILED, ExitCode.BAD_RANGE, ExitCode.NO_INPUT}
    assert message in " ".join(outcome.err.split())
    assert not list(tmp_path.iterdir())


def test_a_take_is_never_written_over(run: Run, take: Path, tmp_path: Path) -> None:
    """Neither as the first of what is made of it, nor as the second."""
    own = shutil.copy(take, tmp_path / "out.take2.wav")
    before = own.read_bytes()
    for output, more in ((own, ()), (tmp_path / "out.wav", ("--takes", "2"))):
        outcome = run(VENICE, "-o", output, "--inpaint", own, "--range", "1:2", *more)
        assert outcome.code == ExitCode.NOT_WRITABLE
        assert "is also the input" in outcome.err
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]


@pytest.mark.slow
def test_from_wants_the_same_take(run: Run, take: Path, tmp_path: Path) -> None:
    own = shutil.copy(take, tmp_path / "take.wav")
    words = ("--range", "1:2", "--steps", "2", "--no-preview")
    assert run(VENICE, "-o", tmp_path / "out.wav", "--inpaint", own, *words).code == 0
    moved = own.rename(tmp_path / "moved.wav")
    sidecar = tmp_path / "out.json"
    outcome = run("--reproduce", sidecar, "-o", tmp_path / "twice.wav", "--no-preview")
    assert (outcome.code, "--inpaint" in outcome.err) == (ExitCode.NO_INPUT, True)
    assert run("--reproduce", sidecar, "--inpaint", moved, "-o", tmp_path / "twice.wav", "--no-preview").code == 0
    assert (tmp_path / "twice.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()
    moved.write_bytes(moved.read_bytes()[:-12] + bytes(12))
    outcome = run("--reproduce", sidecar, "--inpaint", moved, "-o", tmp_path / "third.wav")
    assert (outcome.code, "its hash differs" in outcome.err) == (ExitCode.NO_INPUT, True)
