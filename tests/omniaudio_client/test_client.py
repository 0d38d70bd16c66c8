"""The client of the service: the package itself, and against the real service."""

import ast
import dataclasses
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest

import omniaudio_client
from omniaudio_client import discovery, records
from omniaudio_client.client import Client
from omniaudio_client.discovery import default_folder, find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, MediaSource, PathSource
from support.client_errors import broken
from support.running_service import RunningService
from trt_engine.service import settings
from trt_engine.service.api.records import Health
from trt_engine.service.kinds import generate, request
from trt_engine.service.kinds.registry import REQUESTS
from trt_engine.service.records import Record

PACKAGE = Path(str(omniaudio_client.__file__)).parent


def test_it_imports_the_standard_library_alone() -> None:
    for file in PACKAGE.glob("*.py"):
        tree = ast.parse(file.read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert all(node.level <= 1 for node in froms), file
        imported |= {str(node.module) for node in froms if not node.level}
        assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names, file


NAMES = [
    name
    for name, value in vars(records).items()
    if dataclasses.is_dataclass(value)
    # The service takes the options as they are, and knows all kinds.
    and value not in (GenerationOptions, records.OtherRequest)
]


def services_records() -> dict[str, type[Record]]:
    import_module("trt_engine.service.api.routes")  # defines the last of them
    found: dict[str, type[Record]] = {}
    bases = [Record]
    while bases:
        derived = bases.pop().__subclasses__()
        found |= {record.__name__: record for record in derived}
        bases += derived
    return found


@pytest.mark.parametrize("name", NAMES)
def test_its_records_are_the_services(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(getattr(records, name))}
    theirs = [kind.result for kind in REQUESTS] if name == "Result" else [services_records()[name]]
    assert fields == {field for record in theirs for field in record.model_fields}


def test_its_constants_are_the_services() -> None:
    health = Health(version="")
    assert (health.api, health.service) == (records.API_VERSION, records.SERVICE)
    assert (settings.ADDRESS, settings.TOKEN) == (discovery.ADDRESS, discovery.TOKEN)


def test_its_requests_defaults_are_the_services() -> None:
    ours, theirs = GenerateRequest(PathSource("/a")), generate.GenerateRequest(source=request.PathSource(path="/a"))
    assert dataclasses.asdict(ours) == theirs.model_dump()


LOCAL_DATA = r"C:\Users\me\AppData\Local"


@pytest.mark.parametrize("data", [None, "", "/elsewhere", "relative"])
@pytest.mark.parametrize(
    ("platform", "theirs"),
    [
        ("linux", platformdirs.unix.Unix),
        ("darwin", platformdirs.macos.MacOS),
        ("win32", platformdirs.windows.Windows),
    ],
)
def test_the_default_folder_is_the_services(
    monkeypatch: pytest.MonkeyPatch, platform: str, theirs: type[platformdirs.PlatformDirsABC], data: str | None
) -> None:
    monkeypatch.setenv("LOCALAPPDATA", LOCAL_DATA)
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", LOCAL_DATA)  # which else asks Windows
    if data is None:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    assert default_folder(platform) == theirs("omniaudio", appauthor=False).user_data_path / "service"
    assert default_folder() == settings.default_folder()


def test_finding_no_service_or_a_damaged_one(tmp_path: Path) -> None:
    assert "omniaudio serve" in broken("unreachable", lambda: find(tmp_path))
    for content in ("", "[]", "{}", '{"url": '):
        (tmp_path / "service.json").write_text(content)
        assert str(tmp_path) in broken("file", lambda: find(tmp_path))
    (tmp_path / "service.json").write_text('{"url": "http://127.0.0.1:1"}')
    assert find(tmp_path).url == "http://127.0.0.1:1"


def test_a_job_from_its_creation_to_its_removal(engine: RunningService, panorama: Path, tmp_path: Path) -> None:
    client = find(engine.folder)
    assert client.health().service == "omniaudio"
    request = GenerateRequest(
        PathSource(str(panorama)),
        request_id=f"test-{tmp_path.name}",
        duration=0.5,
        options=GenerationOptions(model="draft", steps=2, takes=2),
    )
    job = client.create(request)
    assert client.create(request).id == job.id
    assert "another" in broken(
        "conflict", lambda: client.create(dataclasses.replace(request, options=GenerationOptions(seed=1)))
    )
    states = list(client.events(job.id))
    assert states[-1] == client.job(job.id) == client.wait(job.id)
    assert states[-1].state == "done"
    assert states[-1].request == request
    result = states[-1].result
    assert result is not None
    assert [take.take for take in result.takes] == [1, 2]
    for file in (result.takes[1].sound, result.takes[1].map):
        client.download(job.id, file, tmp_path / file.name)
        assert (tmp_path / file.name).read_bytes() == Path(file.path).read_bytes()
    assert client.workers()[0].loaded == ("draft",)
    assert client.unload()[0].state == "stopped"
    client.remove(job.id)
    broken("not_found", lambda: client.wait(job.id))
    assert not Path(result.takes[0].sound.path).exists()


def test_refusals_have_the_services_message(engine: RunningService, tmp_path: Path) -> None:
    client = find(engine.folder)
    broken("source", lambda: client.create(GenerateRequest(PathSource(str(tmp_path / "none.mp4")))))
    broken("not_found", lambda: client.create(GenerateRequest(MediaSource("0" * 32))))
    assert "duration" in broken("invalid", lambda: client.create(GenerateRequest(PathSource("/a"), duration=-1.0)))
    assert "token" in broken("unauthorized", Client(client.url, "wrong").jobs)
    assert "token" in broken("unauthorized", Client(client.url).jobs)
    (tmp_path / "empty.mp4").touch()
    broken("invalid", lambda: client.upload(tmp_path / "empty.mp4"))


def test_a_failed_and_a_cancelled_job(engine: RunningService, panorama: Path, tmp_path: Path) -> None:
    client = find(engine.folder)
    (tmp_path / "text.mp4").write_text("no video")
    media = client.upload(tmp_path / "text.mp4")
    failed = client.wait(client.create(GenerateRequest(MediaSource(media.id))).id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert "text.mp4" in failed.error.message
    job = client.create(GenerateRequest(PathSource(str(panorama)), duration=20, options=GenerationOptions(steps=500)))
    assert next(client.events(job.id)).state in ("queued", "running")
    client.cancel(job.id)
    assert client.wait(job.id).state == "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize("end", [RunningService.kill, RunningService.stop])
def test_a_restart_while_waiting_loses_nothing(
    tmp_path: Path, panorama: Path, end: Callable[[RunningService], None]
) -> None:
    service = RunningService(tmp_path / "service", panorama.parent)
    client = service.start()
    try:
        job = client.create(
            GenerateRequest(PathSource(str(panorama)), duration=10, options=GenerationOptions(model="draft"))
        )
        states = []
        for state in client.events(job.id):
            states.append(state.state)
            if state.progress is not None and state.progress.stage == "sampling" and "restarted" not in states:
                end(service)
                restart = threading.Thread(target=service.start)
                restart.start()
                states.append("restarted")
        restart.join()
        assert states[-1] == "done"
        done = client.wait(job.id)
        assert done.result is not None
        client.download(job.id, done.result.takes[0].sound, tmp_path / "sound.wav")
    finally:
        service.stop()


def _interpreter(name: str) -> str:
    found = shutil.which(name)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    ours = sorted(versions.glob(f"{name.removeprefix('python')}.*/bin/python"))
    # A shim of pyenv is there for versions that are not switched on, too.
    if ours:
        return str(ours[-1])
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_it_runs_under_every_python_of_blenders(
    engine: RunningService, panorama: Path, tmp_path: Path, name: str
) -> None:
    python = _interpreter(name)
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("round_trip.py"), tmp_path)
    clip = shutil.copy(panorama, tmp_path / "día 空.png")
    command = [python, "-W", "error", "-X", "dev", "round_trip.py", engine.folder, clip, tmp_path / "a.wav"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "not_found"
