"""`omniaudio jobs` as a user meets it, with a real service."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from omniaudio.errors import ExitCode
from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, InspectRequest, Job, MediaSource, PathSource
from support.command_line import Outcome, omniaudio
from support.running_service import RunningService


@pytest.fixture
def client(engine: RunningService) -> Client:
    return find(engine.folder)


@pytest.fixture
def jobs(
    engine: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs the command in this process, as a user whose own service this is."""
    own = tmp_path / "data" / "omniaudio" / "service"
    own.mkdir(parents=True)
    for name in ("service.json", "token"):
        shutil.copy(engine.folder / name, own)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    return partial(omniaudio, monkeypatch, capsys, "jobs")


@pytest.fixture
def done(client: Client, panorama: Path, tmp_path: Path) -> Job:
    """A job that is done, of a clip whose name looks like markup."""
    clip = Path(shutil.copy(panorama, tmp_path / "[red]clip :smile:.png"))
    request = GenerateRequest(
        PathSource(str(clip)), duration=0.5, options=GenerationOptions(model="draft", steps=2, takes=2, map=False)
    )
    return client.wait(client.create(request).id)


@pytest.fixture
def failed(client: Client, tmp_path: Path) -> Job:
    (tmp_path / "text.mp4").write_text("no video")
    return client.wait(client.create(GenerateRequest(MediaSource(client.upload(tmp_path / "text.mp4").id))).id)


def test_the_list(jobs: Callable[..., Outcome], client: Client, done: Job, failed: Job) -> None:
    by_name = f"http://localhost:{client.port}"
    for arguments in ((), ("list",), ("list", "--service", client.url), ("list", "--service", by_name)):
        code, out, err = jobs(*arguments)
        assert code == 0, err
        newest, before = (line for line in out.splitlines() if done.id[:8] in line or failed.id[:8] in line)
        assert failed.id[:8] in newest
        assert "text.mp4" in newest
        assert "[red]clip :smile:.png" in before
        assert "2 by draft on" in before
    assert done.id[:8] not in jobs("list", "--state", "failed")[1]
    assert done.id[:8] not in jobs("list", "--limit", "1")[1]
    listed = json.loads(jobs("list", "--json")[1])["jobs"]
    assert [job["id"] for job in listed[:2]] == [failed.id, done.id]
    assert listed[1]["result"]["takes"][1]["sound"]["size"] == done.result.takes[1].sound.size
    code, _, err = jobs("list", "--state", "nonsense")
    assert (code, "state" in err) == (ExitCode.FAILED, True)


def test_one_job(jobs: Callable[..., Outcome], done: Job, failed: Job) -> None:
    code, out, _ = jobs("show", done.id[:8])
    assert code == 0
    assert "seed 0" in out
    assert done.result.takes[1].preview.path in out.replace("\n", "")
    assert json.loads(jobs("show", done.id, "--json")[1])["state"] == "done"
    code, out, _ = jobs("show", failed.id)
    assert failed.error.message[:40] in out
    assert jobs("show", "0" * 32)[0] == ExitCode.FAILED
    code, _, err = jobs("show", "zz")
    assert (code, "omniaudio jobs" in err) == (ExitCode.NO_INPUT, True)
    code, _, err = jobs("show", "")
    assert (code, "jobs have an id" in err) == (ExitCode.NO_INPUT, True)


def test_a_recognition(jobs: Callable[..., Outcome], client: Client, panorama: Path) -> None:
    job = client.wait(client.create(InspectRequest(PathSource(str(panorama)))).id)
    assert job.result is not None
    assert job.result.sources is not None
    bed = job.result.sources["bed"]["kind"]
    code, out, _ = jobs("show", job.id)
    assert code == 0
    assert f"source   {bed}" in out
    code, out, _ = jobs("list", "--limit", "1")
    assert (code, "inspect" in out, bed in out) == (0, True, True)


def test_following(jobs: Callable[..., Outcome], client: Client, panorama: Path, failed: Job) -> None:
    job = client.create(
        GenerateRequest(PathSource(str(panorama)), duration=2, options=GenerationOptions(model="draft"))
    )
    code, out, err = jobs("watch", job.id[:12], "--json")
    assert code == 0, err
    states = [json.loads(line) for line in out.splitlines()]
    assert states[-1]["state"] == "done"
    assert any(state["progress"] for state in states)
    code, out, _ = jobs("watch", job.id)
    assert (code, job.id in out) == (0, True)
    code, _, err = jobs("watch", failed.id)
    assert (code, err.strip()) == (ExitCode.NO_INPUT, failed.error.message)


def test_cancelling_and_removing(jobs: Callable[..., Outcome], client: Client, panorama: Path, done: Job) -> None:
    long = client.create(
        GenerateRequest(PathSource(str(panorama)), duration=20, options=GenerationOptions(model="draft", steps=500))
    )
    code, _, err = jobs("remove", long.id)
    assert (code, "ended" in err) == (ExitCode.FAILED, True)
    code, out, _ = jobs("cancel", long.id[:10], done.id)
    assert (code, out.splitlines()) == (0, [f"{long.id}: cancelled", f"{done.id}: done"])
    assert jobs("remove", long.id, done.id)[0] == 0
    assert {long.id, done.id}.isdisjoint(job.id for job in client.jobs())


def test_no_service(jobs: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))
    code, _, err = jobs()
    assert code == ExitCode.FAILED
    assert "omniaudio serve" in err
