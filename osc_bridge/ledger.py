"""The requests and their outcomes, kept in a file, so that a bridge that was killed answers after its restart."""

import hashlib
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

from osc_bridge.messages import JOBS, InspectOptions, Job, Options, SceneOptions

KEPT_ENDED = 1000
"""Ended requests that are kept, the newest ones."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    request_id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    video TEXT NOT NULL,
    options TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER,
    job TEXT NOT NULL,
    outcome TEXT NOT NULL,
    changed REAL NOT NULL,
    verb TEXT NOT NULL
)"""
_COLUMNS = "request_id, fingerprint, video, options, host, port, job, outcome, verb"


@dataclass(frozen=True)
class Entry:
    """A request. `verb` is one of `JOBS`; `video` is empty for the scene that is open in Blender. Answers go to `host`
    and `port` (None: over a TCP connection, which may be gone). `job` is the service's job, empty until there is one;
    `outcome` is JSON, empty until the request has ended."""

    request_id: str
    fingerprint: str
    video: str
    options: Options | SceneOptions | InspectOptions
    host: str
    port: int | None
    job: str = ""
    outcome: str = ""
    verb: str = "generate"


def fingerprint(request: Job) -> str:
    """A hash of what is requested: two messages with the same request id must agree in it."""
    content = request.model_dump_json(include={"video", "options"}, exclude={"options": {"secret"}})
    return hashlib.sha256(content.encode()).hexdigest()


class Ledger:
    """The requests of one bridge. Raises OSError or sqlite3.Error if the file cannot be used."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        # One bridge per ledger: two would carry out the same requests.
        self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode=WAL")
        # Survives the death of the process, and does not wait for the disk at every message.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def put(self, entry: Entry) -> None:
        """Store a request, replacing the one with the same id; its secret is left out."""
        kept = replace(entry, options=entry.options.model_copy(update={"secret": None}))
        self._database.execute(
            f"INSERT OR REPLACE INTO requests ({_COLUMNS}, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                kept.request_id,
                kept.fingerprint,
                kept.video,
                kept.options.model_dump_json(),
                kept.host,
                kept.port,
                kept.job,
                kept.outcome,
                kept.verb,
                time.time(),
            ),
        )
        if entry.outcome:
            self._database.execute(
                "DELETE FROM requests WHERE request_id IN (SELECT request_id FROM requests WHERE outcome != '' "
                "ORDER BY changed DESC LIMIT -1 OFFSET ?)",
                (KEPT_ENDED,),
            )

    def get(self, request_id: str) -> Entry | None:
        """The request with an id, if any."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM requests WHERE request_id = ?", (request_id,)).fetchall()
        return _entry(rows[0]) if rows else None

    def newest(self, limit: int) -> list[Entry]:
        """The newest requests, newest first."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM requests ORDER BY changed DESC, rowid DESC LIMIT ?", (limit,)
        )
        return [_entry(row) for row in rows]

    def open(self) -> list[Entry]:
        """The requests that have not ended, oldest first."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM requests WHERE outcome = '' ORDER BY changed, rowid")
        return [_entry(row) for row in rows]


def _entry(row: tuple[str, str, str, str, str, int | None, str, str, str]) -> Entry:
    request_id, mark, video, options, host, port, job, outcome, verb = row
    given = type(JOBS[verb].model_fields["options"].default).model_validate_json(options)
    return Entry(request_id, mark, video, given, host, port, job, outcome, verb)
