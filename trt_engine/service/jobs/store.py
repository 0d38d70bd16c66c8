"""The jobs in SQLite: what survives the service, and the one place that knows a job's state.

Every change is one transaction that is on the disk when the method returns (write-ahead log, `synchronous=FULL`).
Each checks the state that it starts from, so a job ends once: the first end stays.
"""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
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

_SCHEMA = """
CREATE TABLE jobs (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    request_id TEXT UNIQUE,
    request TEXT NOT NULL,
    files TEXT NOT NULL,
    lane TEXT NOT NULL,
    blender TEXT,
    clip TEXT,
    state TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    starts INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, lane, place);
"""
VERSION = 5
"""The version of the schema and of the JSON in it, kept in `user_version`; 1 to 4 were never released."""
_LIVE = (JobState.QUEUED, JobState.RUNNING)
_REQUESTS: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)
_RESULTS: TypeAdapter[AnyResult] = TypeAdapter(AnyResult)
_log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A job that a worker carries out. `starts` includes this start; `crashes` counts the workers that it cost.

    If Blender rendered a clip for the job, `request` names that clip instead of the scene. `files` are the paths of
    the input files, by the fields that name them."""

    id: str
    request: AnyRequest
    rendered: bool
    files: Mapping[str, Path]
    starts: int
    crashes: int


class Store:
    """The jobs of one folder, held under a lock. Use it from one thread at a time."""

    def __init__(self, folder: Path, max_queued: int) -> None:
        """Create the folder if it is missing, lock it and open the jobs.

        A database of an older version is renamed beside the new one, with a warning in the log.

        Raises:
            UserError: another service uses the folder, it cannot be written, or its jobs are damaged or of a newer
                version.
        """
        self._max_queued = max_queued
        self._path = folder / DATABASE
        # Not per thread: a service may be created in one thread and run in another.
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
            database = self._connect()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version > VERSION:
                raise UserError(
                    f"{self._path} was written by a newer OmniAudio (version {version} of its tables, this one knows "
                    f"{VERSION}): install that one, or start with another --folder."
                )
            if version < VERSION and tables:
                database.execute("PRAGMA journal_mode=DELETE")  # moves what the -wal file holds into the database
                database.close()
                self._set_aside(version)
                database, tables = self._connect(), 0
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            if not tables:
                database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
        except (sqlite3.Error, OSError) as error:
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

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        database.row_factory = sqlite3.Row
        return database

    def _set_aside(self, version: int) -> None:
        """Rename a closed database of an older version; one that was set aside before stays."""
        kept = self._path.with_suffix(f".version{version}{self._path.suffix}")
        for number in count(2):
            if not kept.exists():
                break
            kept = self._path.with_suffix(f".version{version}.{number}{self._path.suffix}")
        self._path.rename(kept)
        _log.warning("The jobs of an older version were set aside in %s; the files that they made stay.", kept)

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self._database.close()
        self._lock.release()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Raises:
            ServiceError: NO_ROOM, the disk is full or refuses the write; nothing has changed then.
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
        """Queue a job; a repeated request id returns the existing job.

        Args:
            request: the request.
            files: the paths of its input files, by the fields that name them.
            blender: the id of the Blender that renders, if the source is a scene.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: CONFLICT, QUEUE_FULL, NO_ROOM, or SOURCE if a path is not valid Unicode.
        """
        paths = _paths(files)
        with self._change() as database:
            if (known := self.known(request)) is not None:
                return known, False
            (queued,) = database.execute("SELECT count(*) FROM jobs WHERE state = ?", (JobState.QUEUED,)).fetchone()
            if queued >= self._max_queued:
                raise ServiceError(
                    ErrorCode.QUEUE_FULL,
                    f"{queued} jobs are waiting, the most that this service accepts: try again later.",
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
        """The job with the request's id, if any. Raises ServiceError (CONFLICT) if that job has another request."""
        if request.request_id is None:
            return None
        row = self._database.execute("SELECT * FROM jobs WHERE request_id = ?", (request.request_id,)).fetchone()
        if row is None:
            return None
        job = _job(row)
        if job.request != request:
            raise ServiceError(
                ErrorCode.CONFLICT,
                f"The request id {request.request_id} belongs to another request, the job {job.id}: use a new id.",
            )
        return job

    def waiting(self, blender: str | None = None) -> list[tuple[str, Job]]:
        """The jobs that wait for a Blender (None: any), oldest first, each with the id of that Blender."""
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

    def rendered_clip(self, job_id: str) -> RenderedClip | None:
        """The clip that a Blender has rendered for a job, if any."""
        row = self._database.execute("SELECT clip FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None or row["clip"] is None else RenderedClip.model_validate_json(row["clip"])

    def give(self, job_id: str, clip: RenderedClip, path: Path) -> bool:
        """Continue a job with the clip that a Blender has rendered; False if the job was not waiting for one.

        Raises:
            ServiceError: NO_ROOM, or SOURCE if the path is not valid Unicode.
        """
        with self._change() as database:
            changed = database.execute(
                "UPDATE jobs SET lane = ?, clip = ?, files = json_patch(files, ?) "
                "WHERE id = ? AND state = ? AND lane = ?",
                (
                    Lane.MODEL,
                    clip.model_dump_json(),
                    _paths({"source": path}),
                    job_id,
                    JobState.QUEUED,
                    Lane.BLENDER,
                ),
            )
            return changed.rowcount == 1

    def job(self, job_id: str) -> Job:
        """One job. Raises ServiceError (NOT_FOUND)."""
        row = self._database.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise ServiceError(ErrorCode.NOT_FOUND, f"There is no job {job_id}: it may have been removed.")
        return _job(row)

    def jobs(self, state: JobState | None, limit: int) -> list[Job]:
        """Jobs in a state (None: any), newest first."""
        rows = self._database.execute(
            "SELECT * FROM jobs WHERE ?1 IS NULL OR state = ?1 ORDER BY place DESC LIMIT ?2", (state, limit)
        )
        return [_job(row) for row in rows]

    def live(self) -> list[str]:
        """The ids of all jobs that have not ended, oldest first."""
        rows = self._database.execute("SELECT id FROM jobs WHERE state IN (?, ?) ORDER BY place", _LIVE)
        return [row["id"] for row in rows]

    def files_in_use(self) -> set[Path]:
        """The input files of all jobs that have not ended."""
        rows = self._database.execute("SELECT files FROM jobs WHERE state IN (?, ?)", _LIVE)
        return {Path(path) for row in rows for path in json.loads(row["files"]).values()}

    def take(self, lane: Lane) -> Taken | None:
        """Mark the oldest queued job of a lane as running and return it. Raises ServiceError (NO_ROOM)."""
        with self._change() as database:
            row = database.execute(
                "UPDATE jobs SET state = ?, started = coalesce(started, ?), starts = starts + 1 WHERE place = "
                "(SELECT min(place) FROM jobs WHERE state = ? AND lane = ?) RETURNING *",
                (JobState.RUNNING, _now(), JobState.QUEUED, lane),
            ).fetchone()
        if row is None:
            return None
        request = _REQUESTS.validate_json(row["request"])
        rendered = row["clip"] is not None
        if rendered:
            request = request.model_copy(update=dict(RenderedClip.model_validate_json(row["clip"])))
        files = {field: Path(path) for field, path in json.loads(row["files"]).items()}
        return Taken(row["id"], request, rendered, files, row["starts"], row["crashes"])

    def requeue(self, job_id: str, *, crashed: bool, counted: bool = True) -> None:
        """Return a running job to its place in the queue; `counted` is whether this start counts.

        Raises ServiceError (NO_ROOM)."""
        with self._change() as database:
            database.execute(
                "UPDATE jobs SET state = ?, crashes = crashes + ?, starts = starts - ? WHERE id = ? AND state = ?",
                (JobState.QUEUED, int(crashed), int(not counted), job_id, JobState.RUNNING),
            )

    def finish(self, job_id: str, result: Result) -> bool:
        """Mark a job as done; False if it had ended before. Raises ServiceError (NO_ROOM)."""
        return self._end(job_id, JobState.DONE, result=result)

    def fail(self, job_id: str, error: Error) -> bool:
        """Mark a job as failed; False if it had ended before. Raises ServiceError (NO_ROOM)."""
        return self._end(job_id, JobState.FAILED, error=error)

    def cancel(self, job_id: str) -> bool:
        """Mark a job as cancelled; False if it had ended before. Raises ServiceError (NO_ROOM)."""
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
        """Delete a job that has ended; any other is left. Raises ServiceError (NO_ROOM)."""
        with self._change() as database:
            database.execute("DELETE FROM jobs WHERE id = ? AND state NOT IN (?, ?)", (job_id, *_LIVE))


def _paths(files: Mapping[str, Path]) -> str:
    """The paths as JSON. Raises ServiceError (SOURCE) if one is not valid Unicode."""
    for path in files.values():
        try:
            os.fspath(path).encode()
        except UnicodeEncodeError:
            raise ServiceError(
                ErrorCode.SOURCE, f"The name of {os.fspath(path)!a} is not in Unicode: rename the file."
            ) from None
    return json.dumps({field: os.fspath(path) for field, path in files.items()})


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(time: datetime) -> str:
    """The time with a fixed width, so that texts sort as times do."""
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
