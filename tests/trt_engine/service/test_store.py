"""The jobs in SQLite."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omniaudio.errors import UserError
from support.jobs import fill, request, small_disk
from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.jobs.job import JobState, RenderedClip
from trt_engine.service.jobs.store import VERSION, Lane, Store
from trt_engine.service.kinds.binaural import BinauralRequest
from trt_engine.service.kinds.generate import GenerateRequest
from trt_engine.service.kinds.request import PathSource, SceneSource
from trt_engine.service.kinds.result import Result
from trt_engine.service.settings import DATABASE

CLIP = Path("/clips/clip.mp4")
FILES = {"source": CLIP}
RESULT = Result(model="draft", backend="onnxruntime", takes=())


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "service", max_queued=1000)
    yield opened
    opened.close()


def test_jobs_outlive_the_store(tmp_path: Path) -> None:
    first = Store(tmp_path, 10)
    job, new = first.create(request(CLIP, seed=7, name="Ä 🌍"), FILES)
    assert new
    first.close()
    second = Store(tmp_path, 10)
    assert second.job(job.id) == job
    taken = second.take(Lane.MODEL)
    assert taken is not None
    assert (taken.id, taken.request, taken.files, taken.starts, taken.crashes) == (job.id, job.request, FILES, 1, 0)
    second.close()


def test_the_same_request_id_is_the_same_job(store: Store) -> None:
    job, new = store.create(request(CLIP, request_id="one"), FILES)
    assert new
    assert store.create(request(CLIP, request_id="one"), FILES) == (job, False)
    with pytest.raises(ServiceError, match=job.id) as met:
        store.create(request(CLIP, request_id="one", seed=1), FILES)
    assert met.value.code is ErrorCode.CONFLICT
    assert store.create(request(CLIP), FILES)[0].id != store.create(request(CLIP), FILES)[0].id
    store.take(Lane.MODEL)
    store.finish(job.id, RESULT)
    ended, new = store.create(request(CLIP, request_id="one"), FILES)
    assert (ended.id, ended.state, new) == (job.id, JobState.DONE, False)


def test_a_request_id_is_known_without_its_clip(store: Store) -> None:
    assert store.known(request(CLIP, request_id="one")) is None
    job, _ = store.create(request(CLIP, request_id="one"), FILES)
    assert store.known(request(CLIP, request_id="one")) == job
    assert store.known(request(CLIP)) is None
    with pytest.raises(ServiceError, match=job.id) as met:
        store.known(request(CLIP, request_id="one", seed=1))
    assert met.value.code is ErrorCode.CONFLICT


def test_a_thousand_jobs_wait_and_no_more(store: Store) -> None:
    for number in range(1000):
        store.create(request(CLIP, request_id=str(number)), FILES)
    with pytest.raises(ServiceError, match="1000 jobs are waiting") as met:
        store.create(request(CLIP), FILES)
    assert met.value.code is ErrorCode.QUEUE_FULL
    assert not store.create(request(CLIP, request_id="999"), FILES)[1], "a known one is answered all the same"
    assert store.take(Lane.MODEL) is not None
    assert store.create(request(CLIP), FILES)[1]


def test_jobs_are_taken_in_order_and_go_back_to_their_place(store: Store) -> None:
    ids = [store.create(request(CLIP), FILES)[0].id for _ in range(3)]
    first = store.take(Lane.MODEL)
    assert first is not None
    assert first.id == ids[0]
    store.requeue(first.id, crashed=True)
    retried = store.take(Lane.MODEL)
    assert retried is not None
    assert (retried.id, retried.starts, retried.crashes) == (ids[0], 2, 1)
    store.requeue(first.id, crashed=False, counted=False)
    retried = store.take(Lane.MODEL)
    assert retried is not None
    assert (retried.id, retried.starts, retried.crashes) == (ids[0], 2, 1), "an orderly end does not count"
    assert [job.id for job in store.jobs(None, 2)] == [ids[2], ids[1]]
    assert [job.id for job in store.jobs(JobState.RUNNING, 10)] == [ids[0]]
    assert store.live() == ids


def test_a_job_ends_once(store: Store) -> None:
    error = Error(code=ErrorCode.INTERNAL, message="No.")
    job, _ = store.create(request(CLIP), FILES)
    assert store.cancel(job.id)
    assert not store.cancel(job.id)
    assert not store.finish(job.id, RESULT)
    assert not store.fail(job.id, error)
    store.requeue(job.id, crashed=False)
    kept = store.job(job.id)
    assert (kept.state, kept.result) == (JobState.CANCELLED, None)
    assert kept.error is not None
    assert kept.error.code is ErrorCode.CANCELLED
    assert store.take(Lane.MODEL) is None


def test_only_what_has_ended_is_removed(store: Store) -> None:
    job, _ = store.create(request(CLIP, request_id="one"), FILES)
    store.remove(job.id)
    assert store.job(job.id) == job
    store.cancel(job.id)
    assert store.ended_before(datetime.now(UTC) - timedelta(seconds=60)) == []
    assert store.ended_before(datetime.now(UTC) + timedelta(seconds=60)) == [job.id]
    store.remove(job.id)
    with pytest.raises(ServiceError, match="There is no job") as met:
        store.job(job.id)
    assert met.value.code is ErrorCode.NOT_FOUND
    assert store.create(request(CLIP, request_id="one"), FILES)[1], "its request id is free again"


def test_one_service_a_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    with pytest.raises(UserError, match="Another service already uses") as met:
        Store(folder, 10)
    assert str(folder) in met.value.message
    code = (
        f"from pathlib import Path; from trt_engine.service.jobs.store import Store; Store(Path({str(folder)!r}), 10)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Another service already uses" in other.stderr
    store.close()
    Store(folder, 10).close()


def test_a_newer_or_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Store(tmp_path, 10).close()
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(UserError, match="newer OmniAudio"):
        Store(tmp_path, 10)
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(UserError, match="move it away"):
        Store(tmp_path, 10)
    assert path.read_bytes() == b"not a database" * 1000
    path.unlink()
    Store(tmp_path, 10).close()


def older_database(folder: Path, version: int) -> None:
    """Write a job as an older version did, and leave the write-ahead log as a killed process leaves it."""
    path = folder / DATABASE
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(f"CREATE TABLE jobs (id TEXT); PRAGMA user_version={version};")
        database.execute("INSERT INTO jobs VALUES ('old')")
        wal = Path(f"{path}-wal").read_bytes()
        content = path.read_bytes()
    path.write_bytes(content)
    Path(f"{path}-wal").write_bytes(wal)


@pytest.mark.parametrize("version", range(VERSION))
def test_an_older_database_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, version: int) -> None:
    older_database(tmp_path, version)
    store = Store(tmp_path, 10)
    assert store.jobs(None, 10) == []
    job, _ = store.create(request(CLIP), FILES)
    store.close()
    kept = tmp_path / f"jobs.version{version}.sqlite3"
    (record,) = caplog.records
    assert (record.levelname, str(kept) in record.getMessage()) == ("WARNING", True)
    assert sorted(path.name for path in tmp_path.glob("jobs*")) == [DATABASE, kept.name]
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT id FROM jobs").fetchall() == [("old",)], "with what its log held"
    reopened = Store(tmp_path, 10)
    assert reopened.live() == [job.id]
    reopened.close()
    assert len(caplog.records) == 1, "it warns once"


def test_a_database_that_was_set_aside_is_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "jobs.version4.sqlite3"
    kept.write_bytes(b"the first")
    older_database(tmp_path, 4)
    Store(tmp_path, 10).close()
    assert kept.read_bytes() == b"the first"
    assert (tmp_path / "jobs.version4.2.sqlite3").is_file()


def test_a_database_without_tables_is_completed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / DATABASE).touch()
    store = Store(tmp_path, 10)
    assert store.create(request(CLIP), FILES)[1]
    store.close()
    assert caplog.records == []


def test_each_lane_has_its_jobs(store: Store) -> None:
    sound, _ = store.create(
        BinauralRequest(sound=PathSource(path="/a.wav"), kind="binaural"), {"sound": Path("/a.wav")}
    )
    wanted = request(CLIP).model_copy(update={"source": SceneSource(frame_start=1, frame_end=None)})
    scene, _ = store.create(wanted, {}, "blender")
    clip, _ = store.create(request(CLIP), FILES)
    assert [taken and taken.id for taken in (store.take(Lane.MODEL), store.take(Lane.SOUND))] == [clip.id, sound.id]
    assert store.take(Lane.MODEL) is None
    assert store.waiting() == store.waiting("blender") == [("blender", scene)]
    assert store.waiting("another") == []
    assert store.files_in_use() == {CLIP, Path("/a.wav")}
    rendered = RenderedClip(source=PathSource(path="/p.mp4"), start=1, duration=2)
    assert store.give(scene.id, rendered, Path("/p.mp4"))
    assert not store.give(scene.id, rendered, Path("/p.mp4"))
    assert store.rendered_clip(scene.id) == rendered
    taken = store.take(Lane.MODEL)
    assert taken is not None
    assert isinstance(taken.request, GenerateRequest)
    assert (taken.request.source, taken.request.start, taken.request.duration) == (rendered.source, 1, 2)
    assert (taken.files, taken.rendered) == ({"source": Path("/p.mp4")}, True)
    assert store.job(scene.id).request == wanted, "what was asked for stays"


def test_a_name_that_is_no_text_is_refused(store: Store) -> None:
    with pytest.raises(ServiceError, match="not in Unicode"):
        store.create(request(CLIP), {"source": Path("/clips/\udcff.mp4")})
    assert store.live() == []


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        store = Store(disk / "service", 1000)
        known, _ = store.create(request(CLIP), FILES)
        filler = fill(disk)
        created = 1
        for _ in range(1000):
            try:
                store.create(request(CLIP), FILES)
            except ServiceError as error:
                met = error
                break
            created += 1
        assert met.code is ErrorCode.NO_ROOM
        assert "make room" in met.message
        assert len(store.live()) == created
        assert store.job(known.id) == known
        filler.unlink()
        assert store.create(request(CLIP), FILES)[1]
        store.close()
