"""Jobs of the extension at the real service: files from here to there and back, whole or not at all."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blender_addon.core.errors import UserError
from blender_addon.service.results import FOLDER
from blender_addon.service.service import Service
from blender_addon.service.service_job import LocalResult, ServiceJob
from blender_addon.service.service_watch import ServiceChoice
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import BinauralRequest, GenerateRequest, Job, PathSource, RotateRequest, SceneSource

PATIENCE = 120.0
NOWHERE = PathSource("")  # filled in by the job
QUICK = GenerateRequest(NOWHERE, duration=0.5, options=GenerationOptions(model="draft", steps=2))
LONG = GenerateRequest(NOWHERE, duration=0.5, options=GenerationOptions(model="draft", steps=1000))

Here = Callable[[], Service]


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def made(service_job: ServiceJob) -> LocalResult:
    until(lambda: service_job.state.over)
    assert service_job.state.error is None, service_job.state.error.message
    assert service_job.state.result is not None
    return service_job.state.result


def failure(service_job: ServiceJob) -> UserError:
    until(lambda: service_job.state.over)
    assert service_job.state.kind == "failed"
    assert service_job.state.error is not None
    return service_job.state.error


def write_video_with_audio(still: Path, path: Path) -> Path:
    """Half a second of a image, as Blender renders it."""
    av = pytest.importorskip("av")
    with av.open(str(still)) as image, av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=24)
        frame = next(image.decode(video=0)).reformat(format="yuv420p")
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        for index in range(12):
            frame.pts = index
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    return path


def address(folder: Path) -> ServiceChoice:
    """The service that runs on a folder, as one elsewhere."""
    url = json.loads((folder / "service.json").read_bytes())["url"]
    return ServiceChoice(address=url, token=(folder / "token").read_text().strip())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that was started here, with the draft model."""
    pytest.importorskip("fastapi")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    one = Service(tmp_path_factory.mktemp("own") / "service")
    one.configure(ServiceChoice(program=sys.executable))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service at an address of this machine that is not the loopback's, which may read nothing here; its folder."""
    pytest.importorskip("fastapi")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # nothing is sent; RFC 5737's address for documents
        except OSError:
            pytest.skip("needs a network interface beside the loopback")
        host = asking.getsockname()[0]
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "nothing").mkdir()
    words = [sys.executable, "-m", "omniaudio.cli", "serve", "--host", "0.0.0.0", "--port", "0", "--folder"]
    words += [str(folder / "service"), "--allow-host", host, "--allow-root", str(folder / "nothing")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as service:
        until((folder / "service" / "service.json").is_file)
        here = address(folder / "service")
        one = Service(folder / "unused")
        one.configure(ServiceChoice(here.address.replace("127.0.0.1", host), here.token))
        yield one, folder / "service"
        one.stop()
        service.terminate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a name that is long, and in several scripts."""
    path = tmp_path / ("Wälder und Flüsse – 森と川 " * 3).strip() / ("sehr lang " * 15).strip()
    path.mkdir(parents=True)
    return path


@pytest.fixture
def take(service: Service, still: Path, tmp_path: Path) -> Path:
    """Half a second of AmbiX sound."""
    return made(ServiceJob(service, QUICK, {"source": still}, tmp_path, "take")).takes[0].ambix


@pytest.mark.slow
def test_takes_come_whole_with_names_of_their_own(service: Service, still: Path, folder: Path) -> None:
    clip = folder / "Bäume 木.png"
    clip.write_bytes(still.read_bytes())
    stem = "Bäume 木 " * 20  # which is cut
    request = GenerateRequest(NOWHERE, duration=0.5, options=GenerationOptions(model="draft", steps=2, takes=2, seed=7))
    first = made(ServiceJob(service, request, {"source": clip}, folder, stem))
    second = made(ServiceJob(service, QUICK, {"source": clip}, folder, stem))
    assert (first.model, first.backend, len(first.takes), first.files) == ("draft", "onnxruntime", 2, ())
    base = first.takes[0].ambix.stem
    assert base.startswith("Bäume 木 Bäume 木 ")
    assert base.endswith("_001")
    assert first.takes[1].ambix.name == f"{base}.take2.wav"
    assert second.takes[0].ambix.stem == base.replace("_001", "_002")
    for one in (*first.takes, *second.takes):
        assert one.preview is not None
        assert one.direction_map is not None
        assert one.sidecar is not None
        with wave.open(str(one.ambix), "rb") as sound:
            assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (4, one.rate, one.samples)
        with wave.open(str(one.preview), "rb") as sound:
            assert (sound.getnchannels(), sound.getnframes()) == (2, one.samples)
        kept = json.loads(one.sidecar.read_bytes())
        assert one.sidecar.parent / kept["input"] == clip
        assert kept["options"]["seed"] == one.seed
    assert len(list(folder.iterdir())) == 1 + 3 * 4  # the clip, and of each take four files
    assert service.client().jobs() == ()


@pytest.mark.slow
def test_a_service_elsewhere_is_sent_the_clip_and_keeps_nothing(
    elsewhere: tuple[Service, Path], still: Path, tmp_path: Path
) -> None:
    one, service = elsewhere
    service_job = ServiceJob(one, QUICK, {"source": still}, tmp_path, "remote")
    kinds = []
    while not service_job.state.over:
        if not kinds or kinds[-1] != service_job.state.kind:
            kinds.append(service_job.state.kind)
        time.sleep(0.001)
    assert "uploading" in kinds
    (take,) = made(service_job).takes
    assert take.ambix == tmp_path / "remote_001.wav"
    assert take.sidecar is not None
    sidecar = pytest.importorskip("omniaudio.sidecar")
    kept = sidecar.Sidecar.read(take.sidecar)  # from which the command line reproduces it, with the local clip
    assert (tmp_path / kept.input).resolve() == still.resolve()
    assert kept.input_sha256 == hashlib.sha256(still.read_bytes()).hexdigest()
    until(lambda: not list((service / "media").iterdir()))
    assert not list((service / "results").iterdir())


def test_a_service_here_that_may_not_read_a_file_is_sent_it(
    elsewhere: tuple[Service, Path], still: Path, tmp_path: Path
) -> None:
    one = Service(tmp_path / "unused")
    one.configure(address(elsewhere[1]))
    assert one.client().local
    assert made(ServiceJob(one, QUICK, {"source": still}, tmp_path, "sent")).takes
    one.stop()


@pytest.mark.slow
def test_a_job_outlives_the_service(here: Here, still: Path, tmp_path: Path) -> None:
    service = here()
    request = GenerateRequest(NOWHERE, duration=0.5, options=GenerationOptions(model="draft", steps=20))
    service_job = ServiceJob(service, request, {"source": still}, tmp_path, "survivor")
    until(lambda: service_job.state.kind == "running" and service_job.state.progress.fraction > 0)
    pid = json.loads((tmp_path / "service" / "service.json").read_bytes())["pid"]
    os.kill(pid, signal.SIGKILL)
    result = made(service_job)
    assert result.takes[0].samples == 22050
    assert json.loads((tmp_path / "service" / "service.json").read_bytes())["pid"] != pid


def test_one_that_is_cancelled_leaves_nothing(service: Service, still: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    service_job = ServiceJob(service, LONG, {"source": still}, target, "cancelled")
    until(lambda: service_job.state.kind == "running")
    begin = time.monotonic()
    service_job.cancel()
    assert time.monotonic() - begin < 0.1
    assert service_job.state.kind == "cancelled"
    until(lambda: service.client().jobs() == ())
    assert list(target.iterdir()) == []
    service_job.cancel()  # again does nothing


@pytest.mark.slow
def test_a_service_that_is_stopped_cancels_what_it_does_for_this_blender(
    here: Here, still: Path, tmp_path: Path
) -> None:
    service = here()
    service_job = ServiceJob(service, LONG, {"source": still}, tmp_path, "stopped")
    until(lambda: service_job.state.kind == "running")
    service.stop()
    assert service_job.state.kind == "cancelled"
    assert service.client().jobs() == ()  # the next one begins with nothing


def test_other_kinds_of_jobs(service: Service, take: Path, tmp_path: Path) -> None:
    heard = made(ServiceJob(service, BinauralRequest(NOWHERE, yaw=90.0), {"sound": take}, tmp_path, "heard"))
    assert (heard.takes, heard.model, heard.files) == ((), None, (tmp_path / "heard_001.wav",))
    with wave.open(str(heard.files[0]), "rb") as sound:
        assert sound.getnchannels() == 2
    orientations = tmp_path / "turns.json"
    orientations.write_text('[{"seconds": 0, "w": 1, "x": 0, "y": 0, "z": 0}]')
    files = {"sound": take, "orientations": orientations}
    (rotated,) = made(ServiceJob(service, RotateRequest(NOWHERE, NOWHERE), files, tmp_path, "rotated")).takes
    assert rotated.ambix == tmp_path / "rotated_001.wav"
    assert rotated.sidecar is not None
    assert rotated.sidecar.parent / json.loads(rotated.sidecar.read_bytes())["input"] == take
    assert rotated.seed is None


def asked_for(service: Service, asked: list[Job]) -> Job:
    """A job for a scene, of which the service has told this Blender."""
    client = service.client()
    until(lambda: bool(client.blenders()))
    client.create(GenerateRequest(SceneSource(1, 12), options=GenerationOptions(model="draft", steps=2)))
    until(lambda: bool(asked))
    return asked[0]


@pytest.fixture
def scene_service(tmp_path: Path) -> Iterator[tuple[Service, list[Job]]]:
    """An service, and what it asks this Blender for."""
    pytest.importorskip("fastapi")
    asked: list[Job] = []
    service = Service(tmp_path / "service", lambda _client, job: asked.append(job))
    service.configure(ServiceChoice(program=sys.executable))
    yield service, asked
    service.stop()


@pytest.mark.slow
def test_a_scene_that_was_rendered_is_handed_over_and_its_job_left_to_who_asked(
    scene_service: tuple[Service, list[Job]], tmp_path: Path, still: Path
) -> None:
    video = write_video_with_audio(still, tmp_path / "video.mp4")
    service, asked = scene_service
    job = asked_for(service, asked)
    service.announce("saved.blend")  # which does not lose it, and does not ask for it again
    result = made(ServiceJob(service, job, {"clip": video}, tmp_path, "scene"))
    assert result.takes[0].ambix == tmp_path / "scene_001.wav"
    assert result.takes[0].samples == 22050
    assert len(asked) == 1
    kept = service.client().job(job.id)
    assert kept.result is not None
    service.client().download(job.id, kept.result.takes[0].sound, tmp_path / "fetched.wav")
    assert (tmp_path / "fetched.wav").read_bytes() == result.takes[0].ambix.read_bytes()


def test_whoever_asked_for_a_scene_hears_that_its_clip_is_gone(
    scene_service: tuple[Service, list[Job]], tmp_path: Path
) -> None:
    service, asked = scene_service
    job = asked_for(service, asked)
    error = failure(ServiceJob(service, job, {"clip": tmp_path / "gone.mp4"}, tmp_path, "scene"))
    until(lambda: service.client().job(job.id).over)
    told = service.client().job(job.id).error
    assert told is not None
    assert (told.code, told.message) == ("refused", error.message)


def test_a_scene_that_is_cancelled_here_is_cancelled_for_who_asked(
    scene_service: tuple[Service, list[Job]], tmp_path: Path, still: Path
) -> None:
    video = write_video_with_audio(still, tmp_path / "video.mp4")
    service, asked = scene_service
    job = asked_for(service, asked)
    service_job = ServiceJob(service, job, {"clip": video}, tmp_path, "scene")
    until(lambda: service.client().job(job.id).state == "running")
    service_job.cancel()
    until(lambda: service.client().job(job.id).over)
    assert service.client().job(job.id).state == "cancelled"


def test_a_clip_that_is_gone_is_a_message(service: Service, tmp_path: Path) -> None:
    error = failure(ServiceJob(service, QUICK, {"source": tmp_path / "gone.mp4"}, tmp_path, "gone"))
    assert "gone.mp4 cannot be read" in error.message


def test_what_fails_at_the_service_is_its_message(service: Service, tmp_path: Path) -> None:
    clip = tmp_path / "text.mp4"
    clip.write_text("no image")
    error = failure(ServiceJob(service, QUICK, {"source": clip}, tmp_path, "text"))
    assert "text.mp4" in error.message
    assert service.client().jobs() == ()


def test_no_service_is_a_message(still: Path, tmp_path: Path) -> None:
    service = Service(tmp_path / "service")
    service.configure(ServiceChoice(program=str(tmp_path / "nothing")))
    assert failure(ServiceJob(service, QUICK, {"source": still}, tmp_path, "none")).code == "no_program"


def test_a_folder_that_has_gone_is_a_message_and_the_service_keeps_the_takes(
    service: Service, still: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    error = failure(ServiceJob(service, QUICK, {"source": still}, target, "lost"))
    assert error.code == FOLDER
    assert str(target) in error.message
    (job,) = service.client().jobs()
    assert job.id in error.message
    assert job.state == "done"
    service.client().remove(job.id)


@pytest.mark.parametrize(("options", "reason"), [("size=64k", "No space left"), ("ro", "Read-only file system")])
def test_a_folder_that_takes_no_files_stays_as_it_is(
    options: str, reason: str, service: Service, still: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mounted"
    target.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(target)]
    if sys.platform != "linux" or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        error = failure(ServiceJob(service, QUICK, {"source": still}, target, "full"))
        assert reason in error.message
        assert str(target) in error.message
        assert ".omniaudio-" not in error.message
        assert error.code == FOLDER
        assert list(target.iterdir()) == []
    finally:
        subprocess.run(["umount", str(target)], check=True)
    for job in service.client().jobs():
        service.client().remove(job.id)
