"""The jobs in SQLite: what survives the service, and the one place that knows a job's state.

Every change is one transaction that is on the disk when the method returns (write-ahead log, `synchronous=FULL`), and
each is guarded by the state it starts from, so that a job ends once: what ends it first stays.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.jobs.job import Job, JobState, RenderedClip
from trt_engine.service.kinds.registry import AnyRequest, AnyResult
from trt_engine.service.kinds.request import Lane
from trt_engine.service.kinds.result import Result
from trt_engine.service.settings import DATABASE, LOCK

_VERSIONS = (
    """
CREATE TABLE jobs (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    request_id TEXT UNIQUE,
    request TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    starts INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, place);
""",
    """
ALTER TABLE jobs RENAME COLUMN source TO files;
UPDATE jobs SET files = json_object('source', files);
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT 'model';
ALTER TABLE jobs ADD COLUMN blender TEXT;
ALTER TABLE jobs ADD COLUMN picture TEXT;
DROP INDEX jobs_by_state;
CREATE INDEX jobs_by_state ON jobs (state, lane, place);
""",
    """
UPDATE jobs SET request = json_set(request, '$.kind', CASE json_extract(request, '$.kind')
    WHEN 'listen' THEN 'binaural' WHEN 'turn' THEN 'rotate' ELSE 'export' END)
    WHERE json_extract(request, '$.kind') IN ('listen', 'turn', 'deliver');
UPDATE jobs SET request = json_set(
        json_remove(request, '$.again'), '$.inpainting', json_extract(request, '$.again')
    ) WHERE json_type(request, '$.again') = 'object';
UPDATE jobs SET request = json_remove(request, '$.again');
UPDATE jobs SET files = json_set(
        json_remove(files, '$."again.sound"'), '$."inpainting.sound"', json_extract(files, '$."again.sound"')
    ) WHERE json_type(files, '$."again.sound"') IS NOT NULL;
UPDATE jobs SET result = json_remove(result, '$.sources') WHERE json_type(result, '$.sources') = 'null';
UPDATE jobs SET error = json_set(
        json_remove(error, '$.sentence'), '$.message', json_extract(error, '$.sentence')
    ) WHERE error IS NOT NULL;
""",
    """
UPDATE jobs SET request = json_set(
        json_remove(request, '$.model', '$.backend', '$.seed', '$.takes', '$.steps', '$.guidance',
            '$.variation', '$.order', '$.preview', '$.map', '$.stems'),
        '$.options',
        json_patch('{}', json_object(
            'model', json_extract(request, '$.model'), 'backend', json_extract(request, '$.backend'),
            'seed', json_extract(request, '$.seed'), 'takes', json_extract(request, '$.takes'),
            'steps', json_extract(request, '$.steps'), 'guidance', json_extract(request, '$.guidance'),
            'variation', json_extract(request, '$.variation'), 'order', json_extract(request, '$.order'),
            'preview', json_extract(request, '$.preview'), 'map', json_extract(request, '$.map'),
            'stems', json_extract(request, '$.stems')
        ))
    ) WHERE coalesce(json_extract(request, '$.kind'), 'generate') = 'generate'
        AND json_type(request, '$.options') IS NULL;
""",
)
"""What makes the tables of a version from those of the one before."""
SCHEMA = len(_VERSIONS)
"""The version of the tables, kept in `user_version`."""
_LIVE = (JobState.QUEUED, JobState.RUNNING)
_REQUESTS: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)
_RESULTS: TypeAdapter[AnyResult] = TypeAdapter(AnyResult)


class Taken(NamedTuple):
    """A job that has been given to a worker; `starts` counts this time too, `crashes` the workers that it cost.

    `request` has the picture that a Blender has rendered in the place of the scene; `files` are the paths of its
    sources, by the fields that name them."""

    id: str
    request: AnyRequest
    rendered: bool
    files: Mapping[str, Path]
    starts: int
    crashes: int


class Store:
    """The jobs of one folder, which nobody else may use meanwhile. Used from one thread at a time."""

    def __init__(self, folder: Path, most_queued: int) -> None:
        """Make the folder where it is missing, and take it.

        Raises:
            UserError: another service holds it, it cannot be written, its jobs are damaged or of a newer version.
        """
        self._most_queued = most_queued
        self._path = folder / DATABASE
        # Not by thread: a service may be made in one thread and run in another.
        self._lock = FileLock(folder / LOCK, thread_local=False)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise UserError(
                f"Another service already uses {folder}: use that one, end it, or start this one with another "
                f"--folder.",
                ExitCode.IN_USE,
            ) from None
        except OSError as error:
            raise UserError(
                f"{folder} cannot be used ({error.strerror}): choose another --folder.", ExitCode.NOT_WRITABLE
            ) from error
        try:
            self._database = self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> sqlite3.Connection:
        database: sqlite3.Connection | None = None
        try:
            database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            database.row_factory = sqlite3.Row
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA:
                raise UserError(
                    f"{self._path} was written by a newer OmniAudio (version {version} of its tables, this one knows "
                    f"{SCHEMA}): install that one, or start with another --folder."
                )
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            for number, change in enumerate(_VERSIONS[version:], version + 1):
                database.executescript(f"BEGIN; {change} PRAGMA user_version={number}; COMMIT;")
        except sqlite3.Error as error:
            if database is not None:
                database.close()
            raise UserError(
                f"{self._path} cannot be used ({error}): make room there, or move it away if it is damaged."
            ) from error
        except UserError:
            if database is not None:
                database.close()
            raise
        return database

    def close(self) -> None:
        """Give the folder back."""
        self._database.close()
        self._lock.release()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Raises:
            ServiceError: NO_ROOM, the disk is full or does not take it; nothing has changed then.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise ServiceError(
                ErrorCode.NO_ROOM,
                f"The service cannot write to {self._path} ({error}): make room there, and let nothing else use it.",
            ) from error

    def create(self, request: AnyRequest, files: Mapping[str, Path], blender: str | None = None) -> tuple[Job, bool]:
        """Queue a job; the same request id again is the same job.

        Args:
            request: what is wanted.
            files: its sources, by the fields that name them.
            blender: the one that is to render, where the source is a scene.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: CONFLICT, QUEUE_FULL, NO_ROOM, or SOURCE for a name that is no text.
        """
        paths = _paths(files)
        with self._change() as database:
            if (known := self.known(request)) is not None:
                return known, False
            (queued,) = database.execute("SELECT count(*) FROM jobs WHERE state = ?", (JobState.QUEUED,)).fetchone()
            if queued >= self._most_queued:
                raise ServiceError(
                    ErrorCode.QUEUE_FULL, f"{queued} jobs are waiting, the most that this service takes: ask later."
                )
            row = database.execute(
                "INSERT INTO jobs (id, request_id, request, files, lane, blender, state, created) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (
                    uuid4().hex,
                    request.request_id,
                    request.model_dump_json(),
                    paths,
                    request.lane,
                    blender,
                    JobState.QUEUED,
                    _now(),
                ),
            ).fetchone()
            return _job(row), True

    def known(self, request: AnyRequest) -> Job | None:
        """The job of a request's id, if there is one. Raises ServiceError (CONFLICT) where it is another request's."""
        if request.request_id is None:
            return None
        row = self._database.execute("SELECT * FROM jobs WHERE request_id = ?", (request.request_id,)).fetchone()
        if row is None:
            return None
        job = _job(row)
        if job.request != request:
            raise ServiceError(
                ErrorCode.CONFLICT,
                f"The request id {request.request_id} belongs to another request, the job {job.id}: take another one.",
            )
        return job

    def waiting(self, blender: str | None = None) -> list[tuple[str, Job]]:
        """The jobs that wait for a Blender, or for any of them, each with who is to render it; the oldest first."""
        rows = self._database.execute(
            "SELECT * FROM jobs WHERE state = ? AND lane = ? AND (?3 IS NULL OR blender = ?3) ORDER BY place",
            (JobState.QUEUED, Lane.BLENDER, blender),
        )
        return [(row["blender"], _job(row)) for row in rows]

    def waits(self, job_id: str) -> bool:
        """Whether a job waits for a Blender to render its scene."""
        row = self._database.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND state = ? AND lane = ?", (job_id, JobState.QUEUED, Lane.BLENDER)
        ).fetchone()
        return row is not None

    def picture(self, job_id: str) -> RenderedClip | None:
        """What a Blender has rendered for a job, if one has."""
        row = self._database.execute("SELECT picture FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None or row["picture"] is None else RenderedClip.model_validate_json(row["picture"])

    def give(self, job_id: str, picture: RenderedClip, path: Path) -> bool:
        """A job goes on with what a Blender has rendered; whether it waited for that.

        Raises:
            ServiceError: NO_ROOM, or SOURCE for a name that is no text.
        """
        with self._change() as database:
            changed = database.execute(
                "UPDATE jobs SET lane = ?, picture = ?, files = json_patch(files, ?) "
                "WHERE id = ? AND state = ? AND lane = ?",
                (
                    Lane.MODEL,
                    picture.model_dump_json(),
                    _paths({"source": path}),
                    job_id,
                    JobState.QUEUED,
                    Lane.BLENDER,
                ),
            )
            return changed.rowcount == 1

    def job(self, job_id: str) -> Job:
        """A job. Raises ServiceError (NOT_FOUND)."""
        row = self._database.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise ServiceError(ErrorCode.NOT_FOUND, f"There is no job {job_id}: it may have been removed.")
        return _job(row)

    def jobs(self, state: JobState | None, limit: int) -> list[Job]:
        """Jobs of a state, or all, the newest first."""
        rows = self._database.execute(
            "SELECT * FROM jobs WHERE ?1 IS NULL OR state = ?1 ORDER BY place DESC LIMIT ?2", (state, limit)
        )
        return [_job(row) for row in rows]

    def live(self) -> list[str]:
        """The ids of all jobs that have not ended, the oldest first."""
        rows = self._database.execute("SELECT id FROM jobs WHERE state IN (?, ?) ORDER BY place", _LIVE)
        return [row["id"] for row in rows]

    def files_in_use(self) -> set[Path]:
        """The sources of all jobs that have not ended."""
        rows = self._database.execute("SELECT files FROM jobs WHERE state IN (?, ?)", _LIVE)
        return {Path(path) for row in rows for path in json.loads(row["files"]).values()}

    def take(self, lane: Lane) -> Taken | None:
        """The oldest queued job of a lane, which is running from now on. Raises ServiceError (NO_ROOM)."""
        with self._change() as database:
            row = database.execute(
                "UPDATE jobs SET state = ?, started = coalesce(started, ?), starts = starts + 1 WHERE place = "
                "(SELECT min(place) FROM jobs WHERE state = ? AND lane = ?) RETURNING *",
                (JobState.RUNNING, _now(), JobState.QUEUED, lane),
            ).fetchone()
        if row is None:
            return None
        request = _REQUESTS.validate_json(row["request"])
        if row["picture"] is not None:
            request = request.model_copy(update=dict(RenderedClip.model_validate_json(row["picture"])))
        files = {field: Path(path) for field, path in json.loads(row["files"]).items()}
        return Taken(row["id"], request, row["picture"] is not None, files, row["starts"], row["crashes"])

    def requeue(self, job_id: str, *, crashed: bool, counted: bool = True) -> None:
        """A running job goes back to its place in the queue, and its start counts or not.

        Raises ServiceError (NO_ROOM)."""
        with self._change() as database:
            database.execute(
                "UPDATE jobs SET state = ?, crashes = crashes + ?, starts = starts - ? WHERE id = ? AND state = ?",
                (JobState.QUEUED, int(crashed), int(not counted), job_id, JobState.RUNNING),
            )

    def finish(self, job_id: str, result: Result) -> bool:
        """A job is done; whether it had not ended otherwise before. Raises ServiceError (NO_ROOM)."""
        return self._end(job_id, JobState.DONE, result=result)

    def fail(self, job_id: str, error: Error) -> bool:
        """A job has failed; whether it had not ended otherwise before. Raises ServiceError (NO_ROOM)."""
        return self._end(job_id, JobState.FAILED, error=error)

    def cancel(self, job_id: str) -> bool:
        """A job is given up; whether it had not ended otherwise before. Raises ServiceError (NO_ROOM)."""
        error = Error(code=ErrorCode.CANCELLED, message="The job was cancelled.")
        return self._end(job_id, JobState.CANCELLED, error=error)

    def _end(self, job_id: str, state: JobState, result: Result | None = None, error: Error | None = None) -> bool:
        with self._change() as database:
            changed = database.execute(
                "UPDATE jobs SET state = ?, ended = ?, result = ?, error = ? WHERE id = ? AND state IN (?, ?)",
                (
                    state,
                    _now(),
                    None if result is None else result.model_dump_json(),
                    None if error is None else error.model_dump_json(),
                    job_id,
                    *_LIVE,
                ),
            )
            return changed.rowcount == 1

    def ended_before(self, time: datetime) -> list[str]:
        """The ids of the jobs that ended before a time."""
        rows = self._database.execute("SELECT id FROM jobs WHERE ended < ?", (_text(time),))
        return [row["id"] for row in rows]

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended. Raises ServiceError (NO_ROOM)."""
        with self._change() as database:
            database.execute("DELETE FROM jobs WHERE id = ? AND state NOT IN (?, ?)", (job_id, *_LIVE))


def _paths(files: Mapping[str, Path]) -> str:
    """As JSON. Raises ServiceError (SOURCE) for a name that is no text."""
    for path in files.values():
        try:
            os.fspath(path).encode()
        except UnicodeEncodeError:
            raise ServiceError(
                ErrorCode.SOURCE, f"The name of {os.fspath(path)!a} is not in Unicode: rename it."
            ) from None
    return json.dumps({field: os.fspath(path) for field, path in files.items()})


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(time: datetime) -> str:
    """In one width, so that texts sort as times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        state=JobState(row["state"]),
        request=_REQUESTS.validate_json(row["request"]),
        created=datetime.fromisoformat(row["created"]),
        started=row["started"] and datetime.fromisoformat(row["started"]),
        ended=row["ended"] and datetime.fromisoformat(row["ended"]),
        result=row["result"] and _RESULTS.validate_json(row["result"]),
        error=row["error"] and Error.model_validate_json(row["error"]),
    )
