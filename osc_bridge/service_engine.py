"""The service as the bridge's engine: asked by its client, on the machine whose files the DAW opens."""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from osc_bridge.engine import POLL_SECONDS, JobView, Take
from osc_bridge.ledger import Entry
from osc_bridge.messages import RefusedError, SceneOptions
from trt_engine.client import Client, EngineError, Job, JobRequest, PathSource, ResultFile, SceneSource, TakeResult
from trt_engine.commands.engine import TOKEN_WANTED, UNAUTHORIZED

LOOKED_AT = 4
"""Waiting jobs that are asked about at a time; those that run are all seen at once."""
NAMESPACE = "osc:"
"""Begins the bridge's request ids at the service, which other clients share."""
CHANNELS = 4
LONGEST_STEM = 100
"""Bytes. The service takes so many characters, and file systems 255 bytes with the suffixes."""

_Answer = TypeVar("_Answer")


class ServiceEngine:
    """Jobs of a service, for files under allowed roots, whose results are put beside the clip, and for the scene that
    is open in Blender, whose results are put into a folder of their own."""

    def __init__(self, connect: Callable[[], Client], scenes: Path, roots: Sequence[Path] = ()) -> None:
        """
        Args:
            connect: the client of the service where it is now; asked at every call, since it may start again elsewhere.
            scenes: where the results of scenes go: the picture may lie on another machine. Made when it is needed.
            roots: clips lie under one of these, links followed; none given, the service's own roots alone decide.
        """
        self._connect = connect
        self._scenes = scenes
        self._roots = tuple(root.resolve() for root in roots)
        self._running: set[str] = set()

    def submit(self, entry: Entry) -> str:
        """Queue a request; one that is queued already has its job."""
        options = entry.options
        wish = options.model_dump(exclude={"secret", "frame_start", "frame_end", "camera"})
        source: PathSource | SceneSource
        if isinstance(options, SceneOptions):
            source = SceneSource(options.frame_start, options.frame_end, options.camera)
            wish["force"] = True  # Blender knows what it renders
        else:
            source = PathSource(str(self._clip(entry.video)))
        name = NAMESPACE + entry.request_id
        request = JobRequest(source, request_id=name, name=_stem(entry), **wish, map=False)
        return self._ask(lambda client: client.create(request)).id

    def look(self, jobs: list[str]) -> list[JobView]:
        """How far jobs are: those that run, those that did a moment ago, and a few of the others in turn."""
        running = {job.id: job for job in self._ask(lambda client: client.jobs("running"))}
        ended = [job for job in jobs if job in self._running and job not in running]
        others = [job for job in jobs if job not in running and job not in self._running]
        self._running = running.keys() & set(jobs)
        turn = int(time.monotonic() / POLL_SECONDS) * LOOKED_AT
        waiting = [others[(turn + place) % len(others)] for place in range(min(LOOKED_AT, len(others)))]
        return [_view(running[job]) for job in jobs if job in running] + [self._see(job) for job in ended + waiting]

    def cancel(self, job: str) -> JobView:
        """End a job; how far it is then."""
        return _view(self._ask(lambda client: client.cancel(job)))

    def deliver(self, entry: Entry) -> list[Take]:
        """Put the files of a job that is done beside its clip, or into the folder of scenes."""
        job = self._ask(lambda client: client.job(entry.job))
        if job.result is None:
            raise RefusedError("not_found", f"The result of {entry.request_id} is gone: ask with a new id.")
        folder = self._clip(entry.video).parent if entry.video else self._made_scenes()
        return [self._deliver(job, take, folder) for take in job.result.takes]

    def _deliver(self, job: Job, take: TakeResult, folder: Path) -> Take:
        files = [file for file in (take.preview, take.sidecar, take.sound) if file is not None]
        for file in files:
            self._ask(partial(_fetch, job=job.id, file=file, folder=folder))
        _relate(folder / take.sidecar.name, Path(take.sidecar.path).parent)
        return Take(
            number=take.take,
            path=str(folder / take.sound.name),
            channels=CHANNELS,
            rate=take.rate,
            duration=take.samples / take.rate,
            preview=str(folder / take.preview.name) if take.preview else "",
        )

    def _made_scenes(self) -> Path:
        try:
            self._scenes.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sentence = f"The folder {self._scenes} cannot be made ({error.strerror}): name another with --scenes."
            raise RefusedError("file", sentence) from error
        return self._scenes

    def _see(self, job_id: str) -> JobView:
        try:
            return _view(self._ask(lambda client: client.job(job_id)))
        except RefusedError as refused:
            if refused.code != "not_found":
                raise
            return JobView(job_id, "failed", code=refused.code, sentence=refused.sentence)

    def _ask(self, question: Callable[[Client], _Answer]) -> _Answer:
        try:
            return question(self._connect())
        except EngineError as error:
            sentence = TOKEN_WANTED if error.code == UNAUTHORIZED else error.sentence
            raise RefusedError(error.code, sentence) from error

    def _clip(self, video: str) -> Path:
        """The clip's path as the service is to open it.

        Raises:
            RefusedError: no absolute path of this machine, or outside the roots. Nothing is opened for it.
        """
        if video[:2].replace("\\", "/") == "//" or not Path(video).is_absolute():
            raise RefusedError("source", "The video is no absolute path of a file on this machine: give one.")
        try:
            path = Path(video).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise RefusedError("source", "The video is no path that can be followed: check it.") from error
        if self._roots and not any(path.is_relative_to(root) for root in self._roots):
            roots = ", ".join(map(str, self._roots))
            sentence = f"The video does not lie in a folder that the bridge may use ({roots}): move it there."
            raise RefusedError("source", sentence)
        return path


def _fetch(client: Client, job: str, file: ResultFile, folder: Path) -> None:
    client.download(job, file, folder / file.name)


def _stem(entry: Entry) -> str:
    """The files' name: the clip's, shortened where the service or a file system asks for it, and the request's id, so
    that two requests of one clip do not meet."""
    ending = f".{entry.request_id.replace(':', '~')}.ambix"
    clip = re.sub(r'[\x00-\x1f\x7f\\:*?"<>|#%]', "-", Path(entry.video or "scene").stem).lstrip(".") or "clip"
    return clip.encode(errors="replace")[: LONGEST_STEM - len(ending)].decode(errors="ignore") + ending


def _relate(sidecar: Path, before: Path) -> None:
    """Name the picture as seen from where the sidecar now lies; `before` is the folder that it came from."""
    content = json.loads(sidecar.read_bytes())
    picture = os.path.normpath(before.resolve() / content["input"])
    with suppress(ValueError):  # on another drive of Windows: there is no way from here
        picture = os.path.relpath(picture, sidecar.parent.resolve())
    content["input"] = picture.replace(os.sep, "/")
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
        sentence=error.sentence if error else "",
    )
