"""Jobs of every kind, by the real client: what a service makes is what the engine makes by itself."""

import json
import math
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from omniaudio.audio import binaural
from omniaudio.audio.ambisonics import Convention, convert
from omniaudio.audio.rotation import RotationRequest, read_orientations, rotate_to_world
from omniaudio.export360 import spatial_video
from omniaudio.export360.audio_track import Codec
from omniaudio.model_zoo import registry
from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import (
    BinauralRequest,
    ExportRequest,
    GenerateRequest,
    Job,
    MapRequest,
    MediaSource,
    PathSource,
    RotateRequest,
)
from support.client_errors import broken
from support.running_service import RunningService
from support.videos import truncate, write_noise_video
from trt_engine.runtime.backends import backends
from trt_engine.service.api.catalogue import model_list

RATE = 48_000


@pytest.fixture
def client(engine: RunningService) -> Client:
    return find(engine.folder)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of noise from the left."""
    return write_sound(tmp_path_factory.mktemp("sounds") / "left.wav", 2)


def write_sound(path: Path, seconds: float) -> Path:
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    soundfile.write(path, np.stack([noise, noise, 0 * noise, 0 * noise], axis=1), RATE, subtype="PCM_24")
    return path


@pytest.fixture(scope="session")
def orientations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that turns round once in two seconds."""
    path = tmp_path_factory.mktemp("orientations") / "camera.json"
    angles = [(seconds, math.pi * seconds / 2) for seconds in (0, 0.5, 1, 1.5, 2)]
    path.write_text(json.dumps([{"seconds": s, "w": math.cos(a), "x": 0, "y": 0, "z": math.sin(a)} for s, a in angles]))
    return path


def made(client: Client, job: Job) -> Job:
    done = client.wait(job.id)
    assert done.state == "done", done.error
    assert done.result is not None
    assert (done.result.model, done.result.backend) == (None, None)
    return done


def test_binaural(client: Client, sound: Path, tmp_path: Path) -> None:
    job = made(client, client.create(BinauralRequest(PathSource(str(sound)), yaw=90, pitch=10, roll=-5)))
    assert job.result is not None
    assert job.result.takes == ()
    (file,) = job.result.files
    assert file.name == "left.headphones.wav"
    client.download(job.id, file, tmp_path / "heard.wav")
    own = binaural.BinauralRequest(sound=sound, output=tmp_path / "own.wav", yaw=90, pitch=10, roll=-5)
    binaural.write_binaural(own, lambda _: None)
    assert (tmp_path / "heard.wav").read_bytes() == (tmp_path / "own.wav").read_bytes()


def test_a_sound_that_declares_furse_malham_is_converted(client: Client, sound: Path, tmp_path: Path) -> None:
    ambix, rate = soundfile.read(sound, dtype="float32")
    declared = tmp_path / "left.amb"
    fuma = convert(ambix.T, Convention.AMBIX, Convention.FUMA)
    soundfile.write(declared, fuma.T, rate, subtype="PCM_24", format="WAV")
    heard = []
    for source in (PathSource(str(sound)), MediaSource(client.upload(declared).id)):
        job = made(client, client.create(BinauralRequest(source)))
        assert job.result is not None
        assert job.result.converted_from == ("fuma" if isinstance(source, MediaSource) else None)
        client.download(job.id, job.result.files[0], tmp_path / "heard.wav")
        heard.append(soundfile.read(tmp_path / "heard.wav")[0])
    np.testing.assert_allclose(heard[0], heard[1], atol=1e-5)


def test_rotation_by_uploads(client: Client, sound: Path, orientations: Path, tmp_path: Path) -> None:
    sources = [MediaSource(client.upload(path).id) for path in (sound, orientations)]
    job = made(client, client.create(RotateRequest(*sources, name="turned")))
    assert job.result is not None
    (take,) = job.result.takes
    assert (take.seed, take.take, take.map, take.rate, take.samples) == (None, 1, None, RATE, 2 * RATE)
    assert [file.name for file in (take.sound, take.sidecar) if file] == ["turned.wav", "turned.json"]
    client.download(job.id, take.sound, tmp_path / "turned.wav")
    course = read_orientations(orientations)
    rotate_to_world(RotationRequest(sound=sound, output=tmp_path / "own.wav", orientations=course), lambda _: None)
    assert (tmp_path / "turned.wav").read_bytes() == (tmp_path / "own.wav").read_bytes()
    for source in sources:
        client.remove_upload(source.media)


@pytest.mark.slow
@pytest.mark.parametrize("codec", list(Codec))
def test_delivering(client: Client, sound: Path, panorama: Path, tmp_path: Path, codec: Codec) -> None:
    suffix = ".mov" if codec is Codec.PCM else ".mp4"
    request = ExportRequest(PathSource(str(sound)), PathSource(str(panorama)), codec=codec.value)
    job = made(client, client.create(request))
    assert job.result is not None
    (file,) = job.result.files
    assert file.name == f"panorama.spatial{suffix}"
    target = tmp_path / file.name
    client.download(job.id, file, target)
    own = spatial_video.export_spatial_video(
        spatial_video.ExportRequest(clip=panorama, sound=sound, output=tmp_path / f"own{suffix}", codec=codec),
        lambda _: None,
    )
    assert target.stat().st_size == own.path.stat().st_size == file.size


@pytest.mark.slow
def test_a_map_that_is_interrupted_by_a_kill(tmp_path: Path, panorama: Path) -> None:
    shutil.copy(panorama, tmp_path / "panorama.png")
    sound = write_sound(tmp_path / "long.wav", 6)
    service = RunningService(tmp_path / "service", tmp_path)
    client = service.start()
    try:
        job = client.create(MapRequest(PathSource(str(sound)), PathSource(str(tmp_path / "panorama.png"))))
        restart: threading.Thread | None = None
        for state in client.events(job.id):
            if restart is None and state.progress is not None and state.progress.fraction > 0.1:
                service.kill()
                restart = threading.Thread(target=service.start)
                restart.start()
        assert restart is not None
        restart.join()
        (file,) = made(client, job).result.files
        client.download(job.id, file, tmp_path / "map.mp4")
        assert (tmp_path / "map.mp4").read_bytes()[4:8] == b"ftyp"
        assert [path.name for path in (service.folder / "attempts").iterdir()] == []
    finally:
        service.stop()


@pytest.mark.slow
def test_a_preview_does_not_wait_for_a_generation(client: Client, sound: Path, panorama: Path) -> None:
    long = client.create(
        GenerateRequest(PathSource(str(panorama)), duration=20, options=GenerationOptions(model="draft", steps=1000))
    )
    next(job for job in client.events(long.id) if job.progress is not None and job.progress.stage == "sampling")
    made(client, client.create(BinauralRequest(PathSource(str(sound)))))
    assert client.job(long.id).state == "running"
    assert [worker.state for worker in client.workers()] == ["busy", "idle"]
    client.cancel(long.id)


def test_cancelling_a_sound_job(client: Client, tmp_path: Path, panorama: Path) -> None:
    sound = write_sound(tmp_path / "long.wav", 120)
    job = client.create(MapRequest(PathSource(str(sound)), PathSource(str(panorama))))
    next(job for job in client.events(job.id) if job.state == "running")
    began = time.monotonic()
    client.cancel(job.id)
    while client.workers()[-1].state == "busy":
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    assert client.wait(job.id).state == "cancelled"


def test_what_is_wrong_is_a_message(client: Client, sound: Path, panorama: Path, tmp_path: Path) -> None:
    clip, text, backwards = PathSource(str(panorama)), tmp_path / "text.wav", tmp_path / "backwards.json"
    text.write_text("no sound")
    one = {"w": 1, "x": 0, "y": 0, "z": 0}
    backwards.write_text(json.dumps([{"seconds": 1, **one}, {"seconds": 0, **one}]))
    wrong = PathSource(str(text))
    for request, words in (
        (BinauralRequest(wrong), "text.wav"),
        (MapRequest(wrong, clip), "text.wav"),
        (ExportRequest(PathSource(str(sound)), wrong), "text.wav"),
        (RotateRequest(PathSource(str(sound)), wrong), "text.wav"),
        (RotateRequest(PathSource(str(sound)), PathSource(str(backwards))), "backwards.json"),
    ):
        failed = client.wait(client.create(request).id)
        assert failed.error is not None, request
        assert failed.error.code == "source", failed.error
        assert words in failed.error.message
    broken("source", lambda: client.create(BinauralRequest(PathSource("/etc/passwd"))))
    broken("source", lambda: client.create(RotateRequest(PathSource(str(sound)), PathSource("/etc/passwd"))))
    assert "body.codec" in broken("invalid", lambda: client.create(ExportRequest(clip, clip, codec="mp3")))
    assert "body.yaw" in broken("invalid", lambda: client.create(BinauralRequest(clip, yaw=1000)))


def test_a_clip_that_was_cut_off(client: Client, tmp_path: Path) -> None:
    clip = PathSource(str(truncate(write_noise_video(tmp_path / "cut.mp4", movflags="faststart"))))
    sound = PathSource(str(write_sound(tmp_path / "foa.wav", 5)))
    for request in (
        ExportRequest(sound, clip, codec="aac", force=True),
        GenerateRequest(clip, force=True, options=GenerationOptions(map=False, preview=False, steps=1)),
    ):
        failed = client.wait(client.create(request).id)
        assert failed.error is not None
        assert failed.error.code == "truncated"
        assert "its header says 6.00 s" in failed.error.message
        assert "use allow_truncated to" in failed.error.message
        assert client.wait(client.create(replace(request, allow_truncated=True)).id).state == "done"


def test_the_backends(client: Client) -> None:
    found = {one.name: one for one in client.backends()}
    assert tuple(found) == tuple(backends())
    assert (found["onnxruntime"].label, found["onnxruntime"].device) == ("ONNX Runtime", "CPU")
    assert all(one.available == (one.reason is None) for one in found.values())
    begin = time.monotonic()
    assert client.backends() == tuple(found.values())
    assert time.monotonic() - begin < 1


def test_the_models(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = client.models()
    assert known.default == "draft"
    draft = next(model for model in known.models if model.name == "draft")
    assert (draft.ready, draft.rate) == (True, 44_100)
    assert 2 < draft.native_seconds < 3
    assert {model.name for model in known.models} == {model.name for model in registry.models()}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_config.json").write_text("{")
    monkeypatch.setenv("OMNIAUDIO_MODELS", str(tmp_path))
    assert "broken" not in {model.name for model in model_list().models}
