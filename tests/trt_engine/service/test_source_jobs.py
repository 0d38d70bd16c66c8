"""Sources over HTTP: recognised by a job of its own, edited, and given to a generation, by the real client."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from omniaudio.recognition.networks import OnnxNetworks
from omniaudio.recognition.recognise import recognise
from omniaudio.sidecar import Sidecar
from omniaudio.video.clip import Clip
from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, Inpainting, InspectRequest, Job, MediaSource, PathSource
from support.client_errors import broken
from support.running_service import RunningService
from support.videos import truncate, write_noise_video

OPTIONS = GenerationOptions(model="draft", steps=2, preview=False, map=False)
QUICK: dict[str, Any] = {"duration": 1.0, "options": OPTIONS}


@pytest.fixture
def client(engine: RunningService) -> Client:
    return find(engine.folder)


def sources(*azimuths: float, bed: str | None = None, **more: Any) -> dict[str, Any]:
    """A dog in each of some directions, for a second."""
    path = [[{"time": time, "azimuth": azimuth, "elevation": 0} for time in (0, 1)] for azimuth in azimuths]
    dogs = [{"kind": "dog", "path": places, **more} for places in path]
    return {"version": 1, "seconds": 1, "sources": dogs, "bed": None if bed is None else {"kind": bed}}


def done(client: Client, request: GenerateRequest | InspectRequest) -> Job:
    job = client.wait(client.create(request).id)
    assert job.state == "done", job.error
    assert job.result is not None
    return job


def test_what_is_found_is_what_the_engine_finds(client: Client, still: Path) -> None:
    stages = set()
    job = client.create(
        InspectRequest(PathSource(str(still)), duration=3.0, request_id=f"inspect-{still}".replace("/", "."))
    )
    for state in client.events(job.id):
        job = state
        stages |= {job.progress.stage} if job.progress else set()
    assert job.state == "done", job.error
    assert job.result is not None
    assert (job.result.takes, job.result.files, job.result.model) == ((), (), None)
    assert job.result.sources == recognise(Clip(still), OnnxNetworks(), duration=3.0).model_dump(mode="json")
    assert "looking" in stages
    assert client.workers()[-1].device == "sound"


def test_a_recognition_does_not_wait_for_a_generation(client: Client, still: Path) -> None:
    long = client.create(
        GenerateRequest(PathSource(str(still)), duration=20.0, options=replace(OPTIONS, steps=1000, variation=1.0))
    )
    next(job for job in client.events(long.id) if job.progress is not None and job.progress.stage == "sampling")
    done(client, InspectRequest(PathSource(str(still))))
    assert client.job(long.id).state == "running"
    client.cancel(long.id)


def test_a_recognition_is_cancelled(client: Client, tmp_path: Path) -> None:
    clip = write_noise_video(tmp_path / "long.mp4")
    job = client.create(InspectRequest(PathSource(str(clip)), force=True))
    next(job for job in client.events(job.id) if job.progress is not None and job.progress.stage == "looking")
    began = time.monotonic()
    client.cancel(job.id)
    assert client.wait(job.id).state == "cancelled"
    while client.workers()[-1].state == "busy":
        assert time.monotonic() - began < 10
        time.sleep(0.05)


def test_what_cannot_be_inspected_is_a_message(client: Client, still: Path, tmp_path: Path) -> None:
    text, photo = tmp_path / "text.mp4", tmp_path / "photo.png"
    text.write_text("no video")
    soundless = np.full((100, 150, 3), 120, np.uint8)
    from PIL import Image  # noqa: PLC0415

    Image.fromarray(soundless).save(photo)
    cut = truncate(write_noise_video(tmp_path / "cut.mp4", movflags="faststart"))
    for request, code in (
        (InspectRequest(PathSource(str(text))), "source"),
        (InspectRequest(PathSource(str(photo))), "not_360"),
        (InspectRequest(PathSource(str(cut)), force=True), "truncated"),
        (InspectRequest(PathSource(str(cut)), start=100.0, force=True, allow_truncated=True), "invalid"),
    ):
        failed = client.wait(client.create(request).id)
        assert failed.error is not None, request
        assert failed.error.code == code, failed.error
    assert done(client, InspectRequest(PathSource(str(cut)), force=True, allow_truncated=True)).result is not None
    assert done(client, InspectRequest(PathSource(str(photo)), force=True)).result is not None
    assert "body.start" in broken("invalid", lambda: client.create(InspectRequest(PathSource(str(still)), start=-1.0)))
    broken("source", lambda: client.create(InspectRequest(PathSource("/etc/passwd"))))


def test_sources_order_and_stems(client: Client, still: Path, tmp_path: Path) -> None:
    """What is found is edited, and the generation does as it says; each stem is a file, and all of them the take."""
    media = MediaSource(client.upload(still).id)
    given = GenerateRequest(
        media,
        sources=sources(90, -90, bed="rain"),
        duration=1.0,
        options=replace(OPTIONS, order=2, stems=True, takes=2, variation=0.3),
    )
    result = done(client, given).result
    assert result is not None
    first, second = result.takes
    own = "still.ambix"
    labels = ("1-dog", "2-dog", "bed-rain")
    assert [file.name for file in first.stems] == [f"{own}.stem-{label}.wav" for label in labels]
    assert [file.name for file in second.stems] == [f"{own}.take2.stem-{label}.wav" for label in labels]
    for file in (second.sound, second.sidecar, *second.stems):
        client.download(client.jobs("done", 1)[0].id, file, tmp_path / file.name)
    sound, *stems = (soundfile.read(tmp_path / file.name)[0] for file in (second.sound, *second.stems))
    assert sound.shape == (second.samples, 9)
    np.testing.assert_allclose(sum(stems), sound, atol=1e-4)
    sidecar = Sidecar.read(tmp_path / second.sidecar.name)
    assert (sidecar.options.order, sidecar.options.variation) == (2, 0.3)
    assert sidecar.sources is not None
    assert [source.kind for source in sidecar.sources.sources] == ["dog", "dog"]
    assert sidecar.credit
    client.remove_upload(media.media)


def test_a_muted_source_has_no_stem(client: Client, still: Path) -> None:
    wanted = sources(90, bed="rain")
    wanted["sources"].append({**wanted["sources"][0], "mute": True})
    result = done(
        client,
        GenerateRequest(PathSource(str(still)), sources=wanted, duration=1.0, options=replace(OPTIONS, stems=True)),
    ).result
    assert result is not None
    assert len(result.takes[0].stems) == 2


def test_without_sources_they_are_recognised(client: Client, still: Path) -> None:
    found = done(client, InspectRequest(PathSource(str(still)), duration=10.0)).result
    result = done(client, GenerateRequest(PathSource(str(still)), **QUICK)).result
    assert found is not None
    assert found.sources is not None
    assert result is not None
    assert result.takes[0].stems == ()
    kept = Sidecar.read(Path(result.takes[0].sidecar.path))
    assert kept.sources is not None
    assert kept.sources.bed is not None
    assert kept.sources.bed.kind == found.sources["bed"]["kind"]


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"sources": [{"kind": "dgo", "path": [{"time": 0, "azimuth": 0, "elevation": 0}]}]},
        "source 1, kind: there is no kind “dgo”; did you mean “dog”?",
    ),
    ({"sources": sources(0)["sources"] + sources(400)["sources"]}, "source 2, place 1, azimuth: "),
    ({"sources": sources(0, gain=99)["sources"]}, "source 1, gain: "),
    ({"sources": [{"kind": "dog", "path": []}]}, "source 1, path: "),
    ({"sources": [{"kind": "rain", "path": [{"time": 0, "azimuth": 0, "elevation": 0}]}]}, "surrounds the listener"),
    ({"bed": {"kind": "dog"}}, "bed: “dog” comes from one direction"),
    ({"seconds": -1}, "seconds: "),
    ({"version": 2}, "version: "),
    ({"further": 1}, "further: there is no such field; remove it"),
    ({"sources": [{"kind": "\ud800" * 10_000, "path": []}]}, "source 1, kind: there is no kind"),
    ({"\udfff" * 10_000: 1}, "unicode string"),
    ({"sources": 3}, "sources: "),
]


@pytest.mark.parametrize(("changed", "words"), BAD)
def test_bad_sources_are_named_entry_by_entry(client: Client, still: Path, changed: dict[str, Any], words: str) -> None:
    wanted = {**sources(), **changed}
    message = broken("invalid", lambda: client.create(GenerateRequest(PathSource(str(still)), sources=wanted, **QUICK)))
    assert words in message
    assert message.startswith("Correct body.sources (")
    assert len(message) < 1500


def test_other_bad_options(client: Client, still: Path) -> None:
    clip = PathSource(str(still))
    part = Inpainting(clip, 0.0, 1.0)
    for options in (GenerationOptions(stems=True), GenerationOptions(order=3)):
        given = GenerateRequest(clip, inpainting=part, options=options)
        message = broken("invalid", lambda given=given: client.create(given))
        assert "no stems" in message


def test_a_repeated_request_is_the_same_job(client: Client, still: Path, tmp_path: Path) -> None:
    """Also by two at once, and with what the service fills in."""
    request = GenerateRequest(
        PathSource(str(still)), request_id=tmp_path.name, sources=sources(10, bed="sea_waves"), **QUICK
    )
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(client.create(request).id)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = client.wait(ids[0])
    assert set(ids) == {job.id}
    assert job.request.sources is not None  # type: ignore[union-attr]
    assert job.request.sources["sources"][0]["level"] > 0  # type: ignore[union-attr]
