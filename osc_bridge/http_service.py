"""The service over HTTP, on the machine whose files the DAW opens."""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from omniaudio.audio.ambisonics import angles
from omniaudio.errors import UserError
from omniaudio.recognition.sources import Source, Sources
from omniaudio_client.client import Client
from omniaudio_client.discovery import TOKEN_WANTED, UNAUTHORIZED, default_roots
from omniaudio_client.http import ServiceError
from omniaudio_client.records import (
    GenerateRequest,
    InspectRequest,
    Job,
    PathSource,
    ResultFile,
    SceneSource,
    TakeResult,
)
from osc_bridge.ledger import KEPT_ENDED, Entry
from osc_bridge.messages import InspectOptions, RefusedError, SceneOptions
from osc_bridge.service import POLL_SECONDS, Inspected, JobView, Sounding, Take

LOOKED_AT = 4
"""Queued jobs that one call of `look` asks about; one request lists all running ones."""
NAMESPACE = "osc:"
"""Prefix of the bridge's request ids at the service, which has other clients too."""
MAX_SOURCES_BYTES = 256 * 1024
"""The size of a `sources.json` that a client names: as much as the service accepts."""
MAX_STEM_BYTES = 100
"""The service accepts 100 characters, and file systems 255 bytes with the suffixes."""

_Answer = TypeVar("_Answer")


class HttpService:
    """Jobs of a service: for clips under allowed roots, with the results beside the clip, and for the scene that is
    open in Blender, with the results in a folder of their own."""

    def __init__(
        self, connect: Callable[[], Client], scenes: Path, inspected: Path, roots: Sequence[Path] = ()
    ) -> None:
        """
        Args:
            connect: returns the client of the service; called for every request, since the service may restart at
                another address.
            scenes: the folder for the results of scenes; created when needed.
            inspected: the folder for the sources of inspected clips; created when needed.
            roots: clips must lie under one of these, after links are resolved; without any, the service's own roots
                decide. `sources.json` files, which are read here, must lie there too, or without any under the home
                and the current folder.
        """
        self._connect = connect
        self._scenes = scenes
        self._inspected = inspected.absolute()
        self._roots = tuple(root.resolve() for root in roots)
        self._running: set[str] = set()

    def submit(self, entry: Entry) -> str:
        """Queue a request and return its job's id; a repeated request returns the same job."""
        options = entry.options
        name = NAMESPACE + entry.request_id
        if isinstance(options, InspectOptions):
            clip = PathSource(str(self._clip(entry.video)))
            inspection = InspectRequest(clip, request_id=name, **options.model_dump(exclude={"secret"}))
            return self._ask(lambda client: client.create(inspection)).id
        apart = {"secret", "generation", "frame_start", "frame_end", "camera"}
        others = options.model_dump(mode="json", exclude=apart)
        if isinstance(options.sources, str):
            others["sources"] = self._read_sources(options.sources).model_dump(mode="json")
        source: PathSource | SceneSource
        if isinstance(options, SceneOptions):
            source = SceneSource(options.frame_start, options.frame_end, options.camera)
            others["force"] = True  # Blender knows what it renders
        else:
            source = PathSource(str(self._clip(entry.video)))
        request = GenerateRequest(source, request_id=name, name=_stem(entry), options=options.generation, **others)
        return self._ask(lambda client: client.create(request)).id

    def look(self, jobs: list[str]) -> list[JobView]:
        """The state of jobs: the running ones, those that were running at the last call, and a few others in
        rotation."""
        running = {job.id: job for job in self._ask(lambda client: client.jobs("running"))}
        ended = [job for job in jobs if job in self._running and job not in running]
        others = [job for job in jobs if job not in running and job not in self._running]
        self._running = running.keys() & set(jobs)
        first = int(time.monotonic() / POLL_SECONDS) * LOOKED_AT
        waiting = [others[(first + place) % len(others)] for place in range(min(LOOKED_AT, len(others)))]
        return [_view(running[job]) for job in jobs if job in running] + [self._see(job) for job in ended + waiting]

    def cancel(self, job: str) -> JobView:
        """Cancel a job and return its state."""
        return _view(self._ask(lambda client: client.cancel(job)))

    def deliver(self, entry: Entry) -> list[Take]:
        """Download the files of a finished job beside its clip, or into the folder for scenes."""
        job = self._ask(lambda client: client.job(entry.job))
        if job.result is None:
            raise RefusedError("not_found", f"The result of {entry.request_id} is gone: ask with a new id.")
        folder = self._clip(entry.video).parent if entry.video else _made(self._scenes, "--scenes")
        return [self._deliver(job, take, folder) for take in job.result.takes]

    def inspected(self, entry: Entry) -> Inspected:
        """The sources of a finished inspection, also written to a file that a generation's options may name."""
        job = self._ask(lambda client: client.job(entry.job))
        if job.result is None or job.result.sources is None:
            raise RefusedError("not_found", f"The result of {entry.request_id} is gone: ask with a new id.")
        found = Sources.model_validate(job.result.sources)
        path = _made(self._inspected, "--ledger") / f"{entry.request_id.replace(':', '~')}.json"
        try:
            found.write(path)
        except UserError as error:
            raise RefusedError("file", error.message) from error
        _keep_newest(self._inspected)
        sources = tuple(_sounding(source) for source in found.sources)
        return Inspected(sources, found.bed.kind if found.bed else "", str(path))

    def _deliver(self, job: Job, take: TakeResult, folder: Path) -> Take:
        assert isinstance(job.request, GenerateRequest)
        files = [file for file in (*take.stems, take.map, take.preview, take.sidecar, take.sound) if file is not None]
        for file in files:
            self._ask(partial(_fetch, job=job.id, file=file, folder=folder))
        _relate(folder / take.sidecar.name, Path(take.sidecar.path).parent)
        return Take(
            number=take.take,
            path=str(folder / take.sound.name),
            channels=(job.request.options.order + 1) ** 2,
            rate=take.rate,
            duration=take.samples / take.rate,
            preview=str(folder / take.preview.name) if take.preview else "",
            stems=tuple(str(folder / stem.name) for stem in take.stems),
        )

    def _see(self, job_id: str) -> JobView:
        try:
            return _view(self._ask(lambda client: client.job(job_id)))
        except RefusedError as refused:
            if refused.code != "not_found":
                raise
            return JobView(job_id, "failed", code=refused.code, message=refused.message)

    def _ask(self, question: Callable[[Client], _Answer]) -> _Answer:
        try:
            return question(self._connect())
        except ServiceError as error:
            message = TOKEN_WANTED if error.code == UNAUTHORIZED else error.message
            raise RefusedError(error.code, message) from error

    def _clip(self, video: str) -> Path:
        """The clip's resolved path. Opens nothing. Raises RefusedError."""
        return _followed("video", video, self._roots)

    def _read_sources(self, given: str) -> Sources:
        """Read a `sources.json`. Raises RefusedError, which names every bad entry."""
        roots = (*(self._roots or [root.resolve() for root in default_roots()]), self._inspected.resolve())
        path = _followed("file of sources", given, roots)
        try:
            if path.suffix != ".json" or not path.is_file() or path.stat().st_size > MAX_SOURCES_BYTES:
                message = f"{path} is no .json file of {MAX_SOURCES_BYTES // 1024} KiB at most: name a file of sources."
                raise RefusedError("source", message)
            return Sources.read(path)
        except OSError as error:
            raise RefusedError("source", f"{path} cannot be read ({error.strerror}): check it.") from error
        except UserError as error:
            raise RefusedError("invalid", error.message) from error


def _followed(what: str, given: str, roots: Sequence[Path]) -> Path:
    """A path from a client, with its links resolved.

    Raises:
        RefusedError: it is not an absolute path on this machine, or lies outside the roots, if there are any.
    """
    if given[:2].replace("\\", "/") == "//" or not Path(given).is_absolute():
        raise RefusedError("source", f"The {what} is no absolute path of a file on this machine: give one.")
    try:
        path = Path(given).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise RefusedError("source", f"The path of the {what} cannot be resolved: check it.") from error
    if roots and not any(path.is_relative_to(root) for root in roots):
        folders = ", ".join(map(str, roots))
        message = f"The {what} does not lie in a folder that the bridge may use ({folders}): move it there."
        raise RefusedError("source", message)
    return path


def _made(folder: Path, option: str) -> Path:
    """Create a folder if it is missing; `option` is the option that names another one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The folder {folder} cannot be created ({error.strerror}): name another one with {option}."
        raise RefusedError("file", message) from error
    return folder


def _keep_newest(folder: Path) -> None:
    """Delete the files of inspections that the ledger no longer keeps."""
    with suppress(OSError):  # another bridge has deleted one meanwhile
        files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT_ENDED:]:
            file.unlink()


def _sounding(source: Source) -> Sounding:
    azimuth, elevation = (float(angle) for angle in np.degrees(angles(source.directions(np.array([source.start]))[0])))
    return Sounding(source.kind, source.confidence, azimuth, elevation, source.start, source.end)


def _fetch(client: Client, job: str, file: ResultFile, folder: Path) -> None:
    client.download(job, file, folder / file.name)


def _stem(entry: Entry) -> str:
    """The stem of the files: the clip's name, shortened to what the service and file systems accept, and the request's
    id, so that two requests for one clip have different files."""
    ending = f".{entry.request_id.replace(':', '~')}.ambix"
    clip = re.sub(r'[\x00-\x1f\x7f\\:*?"<>|#%]', "-", Path(entry.video or "scene").stem).lstrip(".") or "clip"
    return clip.encode(errors="replace")[: MAX_STEM_BYTES - len(ending)].decode(errors="ignore") + ending


def _relate(sidecar: Path, before: Path) -> None:
    """Rewrite the clip's path in a sidecar, relative to its new folder; `before` is the folder that it came from."""
    content = json.loads(sidecar.read_bytes())
    clip = os.path.normpath(before.resolve() / content["input"])
    with suppress(ValueError):  # on another drive of Windows: no relative path exists
        clip = os.path.relpath(clip, sidecar.parent.resolve())
    content["input"] = clip.replace(os.sep, "/")
    partial = sidecar.with_name(f".{sidecar.name}.partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, sidecar)


def _view(job: Job) -> JobView:
    progress, error = job.progress, job.error
    left = None if progress is None else progress.seconds_left
    return JobView(
        job=job.id,
        state=job.state,
        stage=progress.stage if progress else "",
        fraction=progress.fraction if progress else 0.0,
        seconds_left=-1.0 if left is None else left,
        code=error.code if error else "",
        message=error.message if error else "",
    )
