"""Caches the list of back-ends for when no service is running. Does not import bpy."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from omniaudio_client.records import Backend

_FILE = "backends.json"


def keep(folder: Path, backends: tuple[Backend, ...]) -> None:
    """Caches them in the service's folder, if it is writable."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps([asdict(one) for one in backends]), encoding="utf-8")


def kept(folder: Path) -> tuple[Backend, ...]:
    """The cached back-ends; empty if there are none, or the file is of another version."""
    try:
        return tuple(Backend(**one) for one in json.loads((folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ()
