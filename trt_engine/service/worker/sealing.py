"""How a folder of files is marked as whole: a last file, written when the others are on the disk."""

import os
from pathlib import Path

from trt_engine.service.kinds.result import Result

RESULT_FILE = ".result.json"
"""Written last into a job's folder, so that where it lies the folder is whole. No file of a take begins with a dot."""


def seal(attempt: Path, result: Result) -> None:
    """Write down that an attempt is whole, when everything else in it is on the disk. Raises OSError."""
    for file in attempt.iterdir():
        flush(file)
    unsealed = attempt / f"{RESULT_FILE}.part"
    unsealed.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    flush(unsealed)
    unsealed.replace(attempt / RESULT_FILE)
    flush(attempt)


def flush(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to the disk. Windows keeps folders by itself."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
