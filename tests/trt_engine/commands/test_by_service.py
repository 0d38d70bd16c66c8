"""`omniaudio generate --service`: as without it, by a real service."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from omniaudio.errors import ExitCode
from omniaudio.sidecar import Sidecar
from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, Inpainting, MediaSource, PathSource
from support.command_line import Outcome, omniaudio
from support.running_service import RunningService

QUICK = ("--duration", "1", "--steps", "4", "--model", "draft")


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process."""
    return partial(omniaudio, monkeypatch, capsys, "generate")


@pytest.fixture
def by_engine(engine: RunningService) -> tuple[str | Path, ...]:
    """The options that lead to the service."""
    return ("--service", find(engine.folder).url, "--token-file", engine.folder / "token")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def uploads(engine: RunningService) -> set[Path]:
    return set((engine.folder / "media").glob("*"))


@pytest.fixture
def out_of_reach(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clip that the service is not allowed to read, outside its root."""
    # By a name that another run of pytest, which clears old `pytest-…` away, leaves alone.
    folder = tmp_path_factory.getbasetemp().with_name(f"out-of-reach-of-{tmp_path_factory.getbasetemp().name}")
    folder.mkdir(exist_ok=True)
    clip = shutil.copy(panorama, folder / "día 空.png")
    yield clip
    shutil.rmtree(folder)


@pytest.mark.parametrize("way", ["path", pytest.param("upload", marks=pytest.mark.slow)])
def test_the_same_files_with_the_same_bits(  # noqa: PLR0917 - pytest names them
    run: Run,
    engine: RunningService,
    by_engine: tuple[str | Path, ...],
    panorama: Path,
    out_of_reach: Path,
    tmp_path: Path,
    way: str,
) -> None:
    before = uploads(engine)
    clip = panorama if way == "path" else out_of_reach
    sources = tmp_path / "sources.json"
    path = [{"time": 0, "azimuth": 90, "elevation": 0}]
    sources.write_text(json.dumps({"seconds": 1, "sources": [{"kind": "dog", "path": path}], "bed": {"kind": "rain"}}))
    by_source = ("--sources", sources, "--stems", "--order", "2", "--variation", "0.3")
    quick = (*QUICK, *by_source, "--seed", "5", "--takes", "2", "--rate", "48000", "--backend", "onnxruntime")
    wanted = (clip, *quick, "--json")
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, more in ((here, ()), (there, by_engine)):
        folder.mkdir()
        outcome = run(*wanted, "-o", folder / "sound #1.wav", *more)
        assert outcome.code == 0, outcome.err
    assert files(here) == files(there)
    assert len(files(there)) == 12
    assert {"sound #1.stem-1-dog.wav", "sound #1.take2.stem-bed-rain.wav"} <= set(files(there))
    for name in files(here):
        if name.endswith(".json"):
            mine, its = (json.loads((folder / name).read_text()) for folder in (here, there))
            assert its | {"created": None} == mine | {"created": None}
            assert (there / its["input"]).resolve() == clip
        else:
            assert (here / name).read_bytes() == (there / name).read_bytes()
    *progress, done = map(json.loads, outcome.out.splitlines())
    assert {event["event"] for event in progress} == {"progress"}
    assert all(0 <= event["fraction"] <= 1 for event in progress)
    stages = {event["stage"] for event in progress}
    assert {"looking", "sampling", "decoding"} & stages
    assert ("uploading" in stages) == (way == "upload")
    assert (done["event"], done["model"], done["backend"]) == ("done", "draft", "onnxruntime")
    assert [take["sound"] for take in done["takes"]] == [
        str(there / "sound #1.wav"),
        str(there / "sound #1.take2.wav"),
    ]
    stems = [[str(there / f"sound #1{take}.stem-{of}.wav") for of in ("1-dog", "bed-rain")] for take in ("", ".take2")]
    assert [take["stems"] for take in done["takes"]] == stems
    assert uploads(engine) == before


@pytest.mark.slow
def test_a_repeated_inpainting_is_the_same(
    run: Run, engine: RunningService, by_engine: tuple[str | Path, ...], out_of_reach: Path, tmp_path: Path
) -> None:
    """The take is sent as well as the clip where the service may not read them; the sidecar names the files here."""
    before = uploads(engine)
    take = out_of_reach.with_name("take.wav")
    quick = ("--steps", "2", "--model", "draft", "--no-preview", "--no-map", "--backend", "onnxruntime")
    assert run(out_of_reach, *quick, "-o", take, "--duration", "3").code == 0
    reduced(take, -9.5)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, more in ((here, ()), (there, by_engine)):
        folder.mkdir()
        outcome = run(out_of_reach, *quick, "--inpaint", take, "--range", "1:2", "-o", folder / "part.wav", *more)
        assert outcome.code == 0, outcome.err
    assert (here / "part.wav").read_bytes() == (there / "part.wav").read_bytes()
    mine, its = (json.loads((folder / "part.json").read_text()) for folder in (here, there))
    assert its | {"created": None} == mine | {"created": None}
    assert its["inpainting"]["gain_db"] == -9.5, "though the take's sidecar is not sent"
    assert (there / its["inpainting"]["sound"]).resolve() == take.resolve()
    assert uploads(engine) == before, "nothing of it is kept"


def reduced(take: Path, gain_db: float) -> None:
    """The take's sidecar says that its guard took so much."""
    sidecar = take.with_suffix(".json")
    Sidecar.read(sidecar).model_copy(update={"gain_db": gain_db}).write(sidecar)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "asked", "taken"), [(False, None, -9.5), (False, -3.0, -3.0), (True, None, 0.0), (True, -9.5, -9.5)]
)
def test_what_a_guard_took_of_a_take_is_read_beside_it_or_told(  # noqa: PLR0917 - pytest names them
    run: Run, engine: RunningService, panorama: Path, tmp_path: Path, sent: bool, asked: float | None, taken: float
) -> None:
    """Whoever asks the service itself: a path has its sidecar beside it, an upload has none."""
    take = tmp_path / "take.wav"
    words = ("--model", "draft", "--no-preview", "--no-map", "--steps", "2")
    assert run(panorama, "-o", take, "--duration", "1", *words).code == 0
    reduced(take, -9.5)
    client = find(engine.folder)
    sound = MediaSource(client.upload(take).id) if sent else PathSource(str(take))
    wanted = GenerateRequest(
        PathSource(str(panorama)),
        inpainting=Inpainting(sound, 0.25, 0.5, asked),
        options=GenerationOptions(model="draft", steps=2, preview=False, map=False),
    )
    *_, done = client.events(client.create(wanted).id)
    assert done.result is not None, done.error
    assert Sidecar.read(Path(done.result.takes[0].sidecar.path)).inpainting.gain_db == taken
    client.remove(done.id)
    if isinstance(sound, MediaSource):
        client.remove_upload(sound.media)


def test_the_token_comes_from_the_environment(
    run: Run, engine: RunningService, panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = (panorama, *QUICK, "-o", tmp_path / "a.wav", "--no-map", "--no-preview")
    client = find(engine.folder)
    monkeypatch.setenv("OMNIAUDIO_TOKEN", (engine.folder / "token").read_text() + "\n")
    outcome = run(*wanted, "--service", client.url)
    assert outcome.code == 0, outcome.err
    assert files(tmp_path) == ["a.json", "a.wav"]
    assert "by draft on" in outcome.out


@pytest.mark.slow
def test_a_repeat_of_what_the_service_made(
    run: Run, by_engine: tuple[str | Path, ...], panorama: Path, tmp_path: Path
) -> None:
    assert run(panorama, *QUICK, "-o", tmp_path / "a.wav", *by_engine).code == 0
    outcome = run("--reproduce", tmp_path / "a.json", "-o", tmp_path / "b.wav")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()
    refused = run("--reproduce", tmp_path / "a.json", *by_engine)
    assert refused.code == ExitCode.FAILED
    assert "--service" in refused.err


def test_impossible_requests_are_refused_before_the_service_is_asked(
    run: Run, engine: RunningService, by_engine: tuple[str | Path, ...], panorama: Path, tmp_path: Path
) -> None:
    known = len(find(engine.folder).jobs())
    flat = tmp_path / "flat.png"
    Image.new("RGB", (640, 480)).save(flat)
    out = tmp_path / "out.wav"
    for arguments, code in (
        ((panorama, "-o", tmp_path / "none" / "a.wav", *QUICK), ExitCode.NOT_WRITABLE),
        ((panorama, "-o", panorama, *QUICK), ExitCode.NOT_WRITABLE),
        ((panorama, "-o", out), ExitCode.BAD_RANGE),
        ((flat, "-o", out, *QUICK), ExitCode.NOT_360),
        ((tmp_path / "none.mp4", "-o", out, *QUICK), ExitCode.NO_INPUT),
        ((panorama, "-o", out, "--duration", "1", "--model", tmp_path), ExitCode.NO_MODEL),
        ((panorama, "-o", out, *QUICK, "--takes", "99"), ExitCode.FAILED),
    ):
        outcome = run(*arguments, *by_engine)
        assert outcome.code == code, outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert files(tmp_path) == ["flat.png"]
    assert len(find(engine.folder).jobs()) == known


def test_what_the_service_fails_with(
    run: Run, by_engine: tuple[str | Path, ...], panorama: Path, tmp_path: Path
) -> None:
    wanted = (panorama, "-o", tmp_path / "a.wav", "--duration", "1")
    for arguments, code in (
        (("--model", "nonsense"), ExitCode.NO_MODEL),
        (("--model", "draft", "--backend", "nonsense"), ExitCode.NO_BACKEND),
    ):
        outcome = run(*wanted, *arguments, "--json", *by_engine)
        event = json.loads(outcome.out.splitlines()[-1])
        assert (outcome.code, event["event"], event["code"]) == (code, "error", code)
        assert "nonsense" in event["message"]
    assert files(tmp_path) == []


def test_no_service_and_no_token(run: Run, by_engine: tuple[str | Path, ...], panorama: Path, tmp_path: Path) -> None:
    wanted = (panorama, "-o", tmp_path / "a.wav", *QUICK)
    for arguments, words in (
        (("--service", "http://127.0.0.1:1"), "omniaudio serve"),
        (("--service", "nonsense"), "no address"),
        (by_engine[:2], "token"),
        ((*by_engine[:2], "--token-file", tmp_path / "none"), "token"),
    ):
        outcome = run(*wanted, *arguments)
        assert outcome.code != 0
        assert words in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert files(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_cancels_the_job(
    engine: RunningService,
    by_engine: tuple[str | Path, ...],
    out_of_reach: Path,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    client, before = find(engine.folder), uploads(engine)
    wanted = (out_of_reach, "-o", tmp_path / "a.wav", "--duration", "20", "--steps", "500", "--json", *by_engine)
    command = [sys.executable, "-m", "omniaudio.cli", "generate", *map(str, wanted)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == "sampling":
                break
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.CANCELLED
    assert json.loads(out.splitlines()[-1])["message"] == "Cancelled."
    assert client.jobs(limit=1)[0].state == "cancelled"
    assert files(tmp_path) == []
    assert _idle_within(client, 20)
    assert uploads(engine) == before


def _idle_within(client: Client, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while client.workers()[0].state == "busy":
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
