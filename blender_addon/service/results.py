"""What a job has made, brought into a folder of this machine: all of its files, or none. Knows no bpy."""

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
"""Code of an error that another folder, or room in this one, mends."""

_MAX_STEM = 200
"""Bytes. File systems allow 255 in a name, of which the number, the take and the kind need some."""
_naming = threading.Lock()
"""Held between looking for a free name and using it."""

Download = Callable[[ResultFile, Path], None]


@dataclass(frozen=True)
class MadeTake:
    """The files of a take, and its measures. `ambix` has four channels (ACN, SN3D), of `samples` samples at `rate` Hz.
    `seed` is None where no model ran."""

    ambix: Path
    preview: Path | None
    sound_map: Path | None
    sidecar: Path | None
    seed: int | None
    take: int
    rate: int
    samples: int
    gain_db: float
    stems: tuple[Path, ...] = ()

    def remove(self) -> None:
        """Deletes its files."""
        _remove(self.ambix, self.preview, self.sound_map, self.sidecar, *self.stems)

    def sources(self) -> dict[str, Any] | None:
        """What sounds, as its sidecar says; None where that cannot be read, or the model finds no sources."""
        return None if self.sidecar is None else sources_beside(self.sidecar)


@dataclass(frozen=True)
class Made:
    """What a job has made: takes, files of another kind, or what it has found to sound; `model` and `backend` are None
    where no model ran."""

    takes: tuple[MadeTake, ...]
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
    """Where what is made goes, and how it is called."""

    def __init__(self, folder: Path, stem: str, files: Mapping[str, Path]) -> None:
        """
        Args:
            folder: is there.
            stem: of the files' names, to which a number is added.
            files: what it was made of, by the request's fields: sidecars tell where it lies as seen from them.
        """
        self._folder = folder
        self._stem = shortened(stem, _MAX_STEM)
        self._files = files

    def fetch(self, job: Job, download: Download, may_place: Callable[[], bool]) -> Made:
        """Bring the files of a job that is done.

        Args:
            job: has a result.
            download: brings one of them to a path.
            may_place: asked when all of them are there; where it says no, they are deleted again.

        Raises:
            UserError: FOLDER, it takes no files; CancelledError, they may not be placed.
            ServiceError: they cannot be downloaded.
        """
        assert job.result is not None
        wanted = [(ending, file) for ending, file in _endings(job)]
        try:
            # Beside where they belong, so that they need but other names.
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
        return Made(takes, files, job.result.model, job.result.backend, job.result.sources)

    def _placed(self, hidden: Path, endings: list[str]) -> str:
        """Gives all files their names; what these begin with."""
        placed: list[Path] = []
        with _naming:
            base = str(free_file(self._folder, self._stem, "").absolute())
            try:
                # The sidecars go last: where one lies, its take is whole.
                for ending in sorted(endings, key=lambda ending: ending.endswith(".json")):
                    os.replace(hidden / ending, base + ending)
                    placed.append(Path(base + ending))
            except OSError:
                for path in placed:
                    path.unlink(missing_ok=True)
                raise
        return base

    def _point_back(self, sidecar: Path) -> None:
        """Makes a sidecar name its input by where it lies here. The engine knows it by another name where it was
        uploaded, and the path from there."""
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
            f"No files can be written to the folder {self._folder} ({reason}): make room there, or choose another. The "
            f"engine keeps what it has made as its job {job.id}.",
            FOLDER,
        )


def sources_beside(sidecar: Path) -> dict[str, Any] | None:
    """What sounds in a take, as its sidecar says; None where that cannot be read, or says nothing."""
    try:
        told = json.loads(sidecar.read_bytes()).get("sources")
    except (OSError, ValueError, AttributeError):
        return None
    return told if isinstance(told, dict) else None


def _remove(*files: Path | None) -> None:
    for file in filter(None, files):
        with suppress(OSError):
            file.unlink()


def files_of(job: Job) -> list[ResultFile]:
    """All files that a job which is done has made."""
    return [file for _, file in _endings(job)]


def _endings(job: Job) -> Iterator[tuple[str, ResultFile]]:
    """The files of a job, and what their names end with: takes are called as the command line calls them."""
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
    """`.stem-1-dog.wav`: the number of the source, and its kind."""
    return f".stem-{Path(stem.name).name.rpartition('.stem-')[2]}"


def _made(take: TakeResult, base: str) -> MadeTake:
    base += _before(take)
    return MadeTake(
        ambix=Path(f"{base}.wav"),
        preview=None if take.preview is None else Path(f"{base}.preview.wav"),
        sound_map=None if take.map is None else Path(f"{base}.map.png"),
        sidecar=Path(f"{base}.json"),
        seed=take.seed,
        take=take.take,
        rate=take.rate,
        samples=take.samples,
        gain_db=take.gain_db,
        stems=tuple(Path(base + _stem_ending(stem)) for stem in take.stems),
    )


def _relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder, so that both can be moved together; the whole path from another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
