"""The worker process, spoken to as the supervisor does."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import psutil
import pytest
from PIL import Image

from omniaudio.model_zoo import registry
from support.jobs import fill, long, request, small_disk
from trt_engine.service.errors import ErrorCode
from trt_engine.service.kinds.attempt import STEM_BYTES, Attempt
from trt_engine.service.kinds.generate import GenerateRequest
from trt_engine.service.kinds.result import Result
from trt_engine.service.worker.messages import (
    EVENTS,
    Cancel,
    Done,
    Event,
    Failed,
    Loaded,
    Progressed,
    Run,
    line,
)
from trt_engine.service.worker.models import LoadedModels
from trt_engine.service.worker.sealing import RESULT_FILE


class Talk:
    """A worker process and its pipes."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.folder = process, folder
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout

    def run(self, wanted: GenerateRequest, source: Path, attempt: Path | None = None, max_seconds: float = 3600) -> Run:
        """Ask for a job, in a new folder unless one is named."""
        job = uuid4().hex
        attempt = attempt or self.folder / "attempts" / job
        attempt.mkdir(parents=True)
        run = Run(
            job=job,
            request=wanted,
            files={"source": source},
            attempt=attempt,
            results=self.folder / "results" / job,
            max_seconds=max_seconds,
        )
        self.say(run)
        return run

    def say(self, message: Run | Cancel) -> None:
        self.stdin.write(line(message))
        self.stdin.flush()

    def hear(self) -> Event:
        said = self.stdout.readline()
        assert said, "it has ended"
        return EVENTS.validate_json(said)

    def until(self, stage: str) -> None:
        """Until it reports a stage of the generator."""
        while not (isinstance(event := self.hear(), Progressed) and event.progress.stage == stage):
            assert not isinstance(event, Done | Failed), event

    def outcome(self) -> Done | Failed:
        while not isinstance(event := self.hear(), Done | Failed):
            pass
        return event

    def failure(self, wanted: GenerateRequest, source: Path, max_seconds: float = 3600) -> Failed:
        run = self.run(wanted, source, max_seconds=max_seconds)
        failed = self.outcome()
        assert isinstance(failed, Failed)
        assert failed.job == run.job
        assert list(run.attempt.iterdir()) == []
        return failed


@contextmanager
def talking(folder: Path, code: str | None = None, device: str = "cpu") -> Iterator[Talk]:
    """A worker; `code` is what its process runs in place of the module."""
    arguments = ["-m", "trt_engine.service.worker"] if code is None else ["-c", code]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments, device, str(folder / "lock")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield Talk(process, folder)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    with talking(tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def shared_talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One worker for all the failures that it outlives."""
    with talking(tmp_path_factory.mktemp("worker")) as one:
        yield one


@pytest.mark.slow
def test_a_job_is_sealed_when_it_is_whole(talk: Talk, still: Path) -> None:
    run = talk.run(request(still, takes=2, preview=True, map=True, name="shot"), still)
    events = [talk.hear()]
    while not isinstance(events[-1], Done | Failed):
        events.append(talk.hear())
    assert events[-1] == Done(job=run.job)
    assert [event.models for event in events if isinstance(event, Loaded)] == [("draft",)]
    stages = dict.fromkeys(event.progress.stage for event in events if isinstance(event, Progressed))
    assert list(stages) == ["opening", "looking", "sampling", "decoding"]
    endings = (".wav", ".json", ".preview.wav", ".map.png")
    names = sorted(take + ending for take in ("shot", "shot.take2") for ending in endings)
    assert sorted(path.name for path in run.attempt.iterdir()) == [RESULT_FILE, *names]
    result = Result.model_validate_json((run.attempt / RESULT_FILE).read_bytes())
    assert [take.samples for take in result.takes] == [22050, 22050]
    for take in result.takes:
        for file in (take.sound, take.sidecar, take.preview, take.map):
            assert file is not None
            assert file.path == str(run.results / file.name)
            assert file.size == (run.attempt / file.name).stat().st_size


@pytest.mark.slow
def test_what_libraries_print_does_not_break_the_protocol(tmp_path: Path, still: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from omniaudio.generation import takes
from trt_engine.service.worker import process
generate = takes.generate
def loud(*arguments):
    print("printed", flush=True)
    os.write(1, b'{"kind": "done", "job": "x"}\\n')
    return generate(*arguments)
takes.generate = loud
process.main(sys.argv[1], Path(sys.argv[2]))
"""
    with talking(tmp_path, code) as talk:
        run = talk.run(request(still), still)
        assert talk.outcome() == Done(job=run.job)
    log = (tmp_path / "log").read_text()
    assert "printed\n" in log
    assert '"job": "x"' in log


def test_a_cancelled_job_is_left_within_a_step(talk: Talk, still: Path) -> None:
    run = talk.run(long(still), still)
    talk.until("sampling")
    steps, began = [], time.monotonic()
    for _ in range(5):
        talk.until("sampling")
        steps.append(time.monotonic())
    talk.say(Cancel(job=run.job))
    began = time.monotonic()
    failed = talk.outcome()
    latency = time.monotonic() - began
    assert isinstance(failed, Failed)
    assert failed.error.code is ErrorCode.CANCELLED
    assert not failed.broken
    assert list(run.attempt.iterdir()) == []
    # A step is some 20 ms here; the machine may be busy.
    assert latency < 3
    print(f"cancelled after {latency * 1000:.0f} ms, a step takes {(steps[-1] - steps[0]) / 4 * 1000:.0f} ms")
    run = talk.run(request(still), still)
    assert talk.outcome() == Done(job=run.job)


def test_a_job_that_is_cancelled_before_it_begins(talk: Talk, still: Path) -> None:
    run = talk.run(long(still), still)
    talk.say(Cancel(job=run.job))
    failed = talk.outcome()
    assert isinstance(failed, Failed)
    assert failed.error.code is ErrorCode.CANCELLED


@pytest.mark.slow
@pytest.mark.parametrize("busy", [True, False])
def test_it_ends_with_its_input_and_not_with_signals(talk: Talk, still: Path, busy: bool) -> None:
    if busy:
        talk.run(long(still), still)
        talk.until("sampling")
    else:
        run = talk.run(request(still), still)
        assert talk.outcome() == Done(job=run.job)
    talk.process.send_signal(signal.SIGINT)
    talk.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert talk.process.poll() is None
    talk.stdin.close()
    assert talk.process.wait(timeout=5) == 0


@pytest.mark.slow
def test_two_workers_never_compute_on_one_device(talk: Talk, still: Path) -> None:
    talk.run(long(still), still)
    talk.until("sampling")
    with talking(talk.folder) as second:
        run = second.run(request(still), still)
        time.sleep(4)
        assert list(run.attempt.iterdir()) == []
        talk.process.kill()
        assert second.outcome() == Done(job=run.job)
    with talking(talk.folder) as third, talking(talk.folder) as fourth:
        time.sleep(1)
        for waiting in (third, fourth):
            waiting.stdin.close()
            assert waiting.process.wait(timeout=10) == 0


def test_sources_that_are_none(shared_talk: Talk, tmp_path: Path, still: Path) -> None:
    gone, text, flat = tmp_path / "gone.mp4", tmp_path / "text.mp4", tmp_path / "flat.png"
    text.write_text("not a video at all\n" * 100)
    Image.new("RGB", (640, 480)).save(flat)
    for source, words, code in (
        (gone, "no file", ErrorCode.SOURCE),
        (text, "not a readable video", ErrorCode.SOURCE),
        (flat, "not a 360° panorama", ErrorCode.NOT_360),
    ):
        failed = shared_talk.failure(request(source), source)
        assert failed.error.code is code
        assert words in failed.error.message
        assert not failed.broken


def test_more_sound_than_the_service_makes(shared_talk: Talk, still: Path) -> None:
    failed = shared_talk.failure(request(still, duration=36_000), still)
    assert failed.error.code is ErrorCode.INVALID
    assert "3600 s" in failed.error.message
    failed = shared_talk.failure(request(still, duration=2, takes=6), still, max_seconds=11)
    assert "6 takes of 2 s" in failed.error.message
    failed = shared_talk.failure(request(still, duration=None), still)
    assert failed.error.code is ErrorCode.INVALID


def test_models_and_back_ends_that_are_not_there(shared_talk: Talk, still: Path) -> None:
    failed = shared_talk.failure(request(still, model="nonsense"), still)
    assert failed.error.code is ErrorCode.NO_MODEL
    failed = shared_talk.failure(request(still, backend="nonsense"), still)
    assert failed.error.code is ErrorCode.NO_BACKEND
    run = shared_talk.run(request(still), still)
    assert shared_talk.outcome() == Done(job=run.job)


def test_a_device_that_is_not_there(tmp_path: Path, still: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not silently the processor; and the process goes, since CUDA does not look again."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with talking(tmp_path, device="cuda:7") as talk:
        failed = talk.failure(request(still), still)
        assert failed.error.code is ErrorCode.NO_BACKEND
        assert failed.error.message.startswith("The device cuda:7 does not answer: ")
        assert failed.broken
        assert talk.process.wait(60) == 1


@pytest.mark.slow
def test_a_disk_that_is_full_or_fills_up(shared_talk: Talk, tmp_path: Path, still: Path) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        # The system's own refusal before minutes are spent…
        filler = fill(disk)
        filler.write_bytes(filler.read_bytes()[: -(1 << 19)])
        shared_talk.run(request(still), still, attempt=disk / "first")
        before = shared_talk.outcome()
        filler.unlink()
        # … and in the middle of writing.
        run = shared_talk.run(request(still, steps=200, preview=True, map=True), still, attempt=disk / "second")
        shared_talk.until("sampling")
        fill(disk)
        during = shared_talk.outcome()
        for failed in (before, during):
            assert isinstance(failed, Failed)
            assert failed.error.code is ErrorCode.NO_ROOM
            assert "make room" in failed.error.message
            assert not failed.broken
        assert isinstance(during, Failed)
        assert "cannot write its files (No space left on device)" in during.error.message
        assert list(run.attempt.iterdir()) == []
    run = shared_talk.run(request(still), still)
    assert shared_talk.outcome() == Done(job=run.job)


def test_a_back_end_that_fails_in_the_middle(
    tmp_path: Path, still: Path, model: registry.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder's graph is damaged, which shows when it is opened, after the sampling."""
    models = tmp_path / "models"
    shutil.copytree(model.folder, models / "damaged")
    graph = models / "damaged" / "decoder.onnx"
    graph.write_bytes(os.urandom(graph.stat().st_size))
    monkeypatch.setenv("OMNIAUDIO_MODELS", str(models))
    with talking(tmp_path) as talk:
        failed = talk.failure(request(still, model="damaged", backend="onnxruntime"), still)
        assert failed.broken
        assert failed.error.code is ErrorCode.INTERNAL
        assert failed.error.message.startswith("The job failed while")
        assert "Traceback" not in failed.error.message
        assert talk.process.wait(timeout=10) == 1
    assert "Traceback" in (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_too_little_memory(talk: Talk, still: Path) -> None:
    run = talk.run(request(still), still)
    assert talk.outcome() == Done(job=run.job)
    size = psutil.Process(talk.process.pid).memory_info().vms
    resource.prlimit(talk.process.pid, resource.RLIMIT_AS, (size + 30_000_000, resource.RLIM_INFINITY))
    talk.run(request(still, takes=16, duration=200), still)
    failed = talk.outcome()
    assert isinstance(failed, Failed)
    assert failed.error.code is ErrorCode.NO_ROOM
    assert "memory" in failed.error.message
    assert failed.broken
    assert talk.process.wait(timeout=10) == 1


def test_what_it_cannot_understand_ends_it(talk: Talk) -> None:
    talk.stdin.write(json.dumps({"kind": "nonsense"}).encode() + b"\n")
    talk.stdin.flush()
    assert talk.process.wait(timeout=20) == 1


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("shot 1", "clip.mp4", "shot 1"),
        (None, "clip.mp4", "clip.ambix"),
        (None, "shot.####.png", "shot.ambix"),
        (None, "####.png", "clip.ambix"),
        (None, ".hidden.mp4", "hidden.ambix"),
        (None, "ä" * 120 + ".mp4", "ä" * 97 + ".ambix"),
        ("🌍" * 100, "clip.mp4", "🌍" * (STEM_BYTES // 4)),
    ],
)
def test_names(tmp_path: Path, name: str | None, source: str, expected: str) -> None:
    path = tmp_path / source
    attempt = Attempt({"source": path}, tmp_path, tmp_path, 1.0, LoadedModels(print), print)
    assert attempt.output(name, "source", ".ambix", ".wav") == tmp_path / f"{expected}.wav"
