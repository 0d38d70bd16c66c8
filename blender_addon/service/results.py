"""Downloads a job's results into a local folder: all files or none. Does not import bpy."""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omniaudio_client.http import FILE, ServiceError
from omniaudio_client.records import Job, ResultFile, TakeResult

from ..core.errors import CancelledError, UserError
from ..core.frames import free_file, shortened

FOLDER = "folder"
"""Error code: the folder is not writable or full."""

_MAX_STEM_BYTES = 200
"""File systems allow names of 255 bytes; the number, the take and the suffixes need some."""
_naming = threading.Lock()
"""Held from choosing a free name until it is used."""

Download = Callable[[ResultFile, Path], None]


@dataclass(frozen=True)
class TakeFiles:
    """A take's files. `ambix` has four channels (ACN, SN3D) of `samples` samples at `rate` Hz; `seed` is None if no
    model ran."""

    ambix: Path
    preview: Path | None
    direction_map: Path | None
    sidecar: Path | None
    seed: int | None
    take: int
    rate: int
    samples: int
    gain_db: float
    stems: tuple[Path, ...] = ()

    def remove(self) -> None:
        """Deletes the files."""
        _remove(self.ambix, self.preview, self.direction_map, self.sidecar, *self.stems)

    def sources(self) -> dict[str, Any] | None:
        """The sources in its sidecar; None if it is unreadable or has none."""
        return None if self.sidecar is None else sources_beside(self.sidecar)


@dataclass(frozen=True)
class LocalResult:
    """A job's result with its files on this machine: takes, other files, or detected sources. `model` and `backend` are
    None if no model ran."""

    takes: tuple[TakeFiles, ...]
    files: tuple[Path, ...]
    model: str | None
    backend: str | None
    sources: dict[str, Any] | None = None

    def remove(self) -> None:
        """Deletes the files."""
        for take in self.takes:
            take.remove()
        _remove(*self.files)


class ResultFolder:
    """The target folder of a job's results, and their names."""

    def __init__(self, folder: Path, stem: str, files: Mapping[str, Path]) -> None:
        """
        Args:
            folder: has to exist.
            stem: of the files' names; a number is appended.
            files: the inputs by the request's fields; the sidecars get their relative paths.
        """
        self._folder = folder
        self._stem = shortened(stem, _MAX_STEM_BYTES)
        self._files = files

    def fetch(self, job: Job, download: Download, may_place: Callable[[], bool]) -> LocalResult:
        """Download the files of a finished job.

        Args:
            job: has a result.
            download: downloads one file to a path.
            may_place: called when all files are downloaded; if it returns False, they are deleted.

        Raises:
            UserError: FOLDER, the folder is not writable.
            CancelledError: `may_place` returned False.
            ServiceError: a download failed.
        """
        assert job.result is not None
        wanted = [(ending, file) for ending, file in _endings(job)]
        try:
            # On the same file system, so that moving them is a rename.
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".omniaudio-") as name:
                hidden = Path(name)
                for ending, file in wanted:
                    download(file, hidden / ending)
                    if ending.endswith(".json"):
                        self._point_back(hidden / ending)
                if not may_place():
                    raise CancelledError
                base = self._placed(hidden, [ending for ending, _ in wanted])
        except ServiceError as error:
            if error.code != FILE:
                raise
            raise self._refused(job, error.__cause__ or error) from error
        except OSError as error:
            raise self._refused(job, error) from error
        takes = tuple(_made(take, base) for take in job.result.takes)
        files = tuple(Path(base + Path(file.name).suffix) for file in job.result.files)
        return LocalResult(takes, files, job.result.model, job.result.backend, job.result.sources)

    def _placed(self, hidden: Path, endings: list[str]) -> str:
        """Moves all files to their final names; returns the names' common start."""
        placed: list[Path] = []
        with _naming:
            base = str(free_file(self._folder, self._stem, "").absolute())
            try:
                # Sidecars last: where there is one, its take is complete.
                for ending in sorted(endings, key=lambda ending: ending.endswith(".json")):
                    os.replace(hidden / ending, base + ending)
                    placed.append(Path(base + ending))
            except OSError:
                for path in placed:
                    path.unlink(missing_ok=True)
                raise
        return base

    def _point_back(self, sidecar: Path) -> None:
        """Rewrites a sidecar's input to the local file: the service has its own path, or another name for an upload."""
        kept = json.loads(sidecar.read_bytes())
        origin = next(self._files[field] for field in ("source", "clip", "sound") if field in self._files)
        kept["input"] = _relative(origin, self._folder)
        if kept.get("inpainting") is not None:
            kept["inpainting"]["sound"] = _relative(self._files["inpainting.sound"], self._folder)
        text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
        sidecar.write_text(text, encoding="utf-8", errors="replace")

    def _refused(self, job: Job, error: BaseException) -> UserError:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        return UserError(
            f"No files can be written to the folder {self._folder} ({reason}): free some space, or choose another. The "
            f"engine keeps the result as its job {job.id}.",
            FOLDER,
        )


def sources_beside(sidecar: Path) -> dict[str, Any] | None:
    """The sources in a take's sidecar; None if it is unreadable or has none."""
    try:
        sources = json.loads(sidecar.read_bytes()).get("sources")
    except (OSError, ValueError, AttributeError):
        return None
    return sources if isinstance(sources, dict) else None


def _remove(*files: Path | None) -> None:
    for file in filter(None, files):
        with suppress(OSError):
            file.unlink()


def files_of(job: Job) -> list[ResultFile]:
    """All files of a finished job."""
    return [file for _, file in _endings(job)]


def _endings(job: Job) -> Iterator[tuple[str, ResultFile]]:
    """A job's files with the endings of their names, which are those of the command line."""
    assert job.result is not None
    for take in job.result.takes:
        before = _before(take)
        yield f"{before}.wav", take.sound
        if take.preview is not None:
            yield f"{before}.preview.wav", take.preview
        if take.map is not None:
            yield f"{before}.map.png", take.map
        for stem in take.stems:
            yield before + _stem_ending(stem), stem
        yield f"{before}.json", take.sidecar
    for file in job.result.files:
        yield Path(file.name).suffix, file


def _before(take: TakeResult) -> str:
    return "" if take.take == 1 else f".take{take.take}"


def _stem_ending(stem: ResultFile) -> str:
    """`.stem-1-dog.wav`: the source's number and kind."""
    return f".stem-{Path(stem.name).name.rpartition('.stem-')[2]}"


def _made(take: TakeResult, base: str) -> TakeFiles:
    base += _before(take)
    return TakeFiles(
        ambix=Path(f"{base}.wav"),
        preview=None if take.preview is None else Path(f"{base}.preview.wav"),
        direction_map=None if take.map is None else Path(f"{base}.map.png"),
        sidecar=Path(f"{base}.json"),
        seed=take.seed,
        take=take.take,
        rate=take.rate,
        samples=take.samples,
        gain_db=take.gain_db,
        stems=tuple(Path(base + _stem_ending(stem)) for stem in take.stems),
    )


def _relative(path: Path, folder: Path) -> str:
    """The path relative to a folder, so that both can be moved together; absolute on another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
