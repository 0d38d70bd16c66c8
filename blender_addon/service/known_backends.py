"""The back-ends that a service has named, kept for when none answers. Knows no bpy."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from omniaudio_client.records import Backend

_FILE = "backends.json"


def keep(folder: Path, backends: tuple[Backend, ...]) -> None:
    """Keep them in the engine's folder; where it cannot be written to, they are asked for again next time."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps([asdict(one) for one in backends]), encoding="utf-8")


def kept(folder: Path) -> tuple[Backend, ...]:
    """Those that were named last; none where no service ever has, or the file is of another version."""
    try:
        return tuple(Backend(**one) for one in json.loads((folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ()
