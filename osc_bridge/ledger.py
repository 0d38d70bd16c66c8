"""What was asked and what became of it, kept in a file: a bridge that was killed answers when it is there again."""

import hashlib
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

from osc_bridge.messages import JOBS, InspectOptions, Job, Options, SceneOptions

KEPT_ENDED = 1000
"""So many ended requests can be asked for again, the newest ones."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
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
_WITH_VERBS = (
    "ALTER TABLE entries ADD COLUMN verb TEXT NOT NULL DEFAULT 'generate'",
    "UPDATE entries SET verb = 'generate_scene' WHERE video = ''",
)
"""What makes a ledger of this version of one from before there were recognitions."""
_WITH_MESSAGES = """
UPDATE entries SET outcome = json_set(
    json_remove(outcome, '$.sentence'), '$.message', json_extract(outcome, '$.sentence')
) WHERE outcome LIKE '%"sentence"%' AND json_type(outcome, '$.sentence') IS NOT NULL"""
"""The same of one whose failures were kept by another name."""


@dataclass(frozen=True)
class Entry:
    """A request: what is wanted, one of `JOBS`, of what (no video: the scene that is open in Blender), who is answered
    where (no port: over a TCP connection, which may be gone), the engine's job (empty until it has one), and how it
    ended (JSON; empty until it has)."""

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
    """The same for the same wish: two requests of one id must have the same."""
    wish = request.model_dump_json(include={"video", "options"}, exclude={"options": {"secret"}})
    return hashlib.sha256(wish.encode()).hexdigest()


class Ledger:
    """The entries of one bridge. Raises OSError or sqlite3.Error where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        # One bridge a ledger: two would carry out the same requests.
        self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode=WAL")
        # Survives the process, which is what dies; without a wait for the disk at every message.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_SCHEMA)
        if "verb" not in {row[1] for row in self._database.execute("PRAGMA table_info(entries)")}:
            self._database.execute("BEGIN")
            for change in _WITH_VERBS:
                self._database.execute(change)
            self._database.execute("COMMIT")
        self._database.execute(_WITH_MESSAGES)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def put(self, entry: Entry) -> None:
        """Keep an entry, in place of the one of its id."""
        kept = replace(entry, options=entry.options.model_copy(update={"secret": None}))
        self._database.execute(
            f"INSERT OR REPLACE INTO entries ({_COLUMNS}, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                "DELETE FROM entries WHERE request_id IN (SELECT request_id FROM entries WHERE outcome != '' "
                "ORDER BY changed DESC LIMIT -1 OFFSET ?)",
                (KEPT_ENDED,),
            )

    def get(self, request_id: str) -> Entry | None:
        """The entry of an id."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM entries WHERE request_id = ?", (request_id,)).fetchall()
        return _entry(rows[0]) if rows else None

    def newest(self, limit: int) -> list[Entry]:
        """The last ones, the newest first."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM entries ORDER BY changed DESC, rowid DESC LIMIT ?", (limit,)
        )
        return [_entry(row) for row in rows]

    def open(self) -> list[Entry]:
        """Those that have not ended, the oldest first."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM entries WHERE outcome = '' ORDER BY changed, rowid")
        return [_entry(row) for row in rows]


def _entry(row: tuple[str, str, str, str, str, int | None, str, str, str]) -> Entry:
    request_id, mark, video, options, host, port, job, outcome, verb = row
    wish = type(JOBS[verb].model_fields["options"].default).model_validate_json(options)
    return Entry(request_id, mark, video, wish, host, port, job, outcome, verb)
