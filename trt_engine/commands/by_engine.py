"""`omniaudio generate --engine`: a request carried out by a service, with the same files at the same places as here."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from omniaudio import takes
from omniaudio.delivery import Sidecar
from omniaudio.errors import ExitCode, UserError
from omniaudio.stills import is_sequence
from trt_engine.client import (
    Client,
    EngineError,
    Job,
    JobRequest,
    MediaSource,
    PathSource,
    Progress,
    ResultFile,
    TakeResult,
)
from trt_engine.commands.engine import as_user_error, user_errors

ASSUMED_RATE = 48_000
"""Hz, to see whether there is room for the sound, where the service's model will choose the rate."""
UPLOAD_SHARE = 0.3
"""Of the work, if the clip is uploaded first."""

Reporting = Callable[[Progress], None]


class Generated(NamedTuple):
    """The takes that were delivered, and what made them."""

    model: str
    backend: str
    takes: list[takes.Take]


def generate(client: Client, request: takes.Request, model: str | None, backend: str, report: Reporting) -> Generated:
    """Let a service make the sound of a clip, and deliver it here.

    By the clip's path where the service is on this machine and may read it, else by upload. An interruption cancels the
    job.

    Args:
        client: the service.
        request: what is wanted.
        model: a name that the service knows; its best one where None.
        backend: of the service.
        report: told of every step.

    Returns:
        The files that were delivered, and what the service says of them.

    Raises:
        UserError: as `takes.generate`; and the service refuses, fails, or stays away.
    """
    if model is not None and Path(model).name != model:
        raise UserError(f"A service knows its models by name: name one of them, not {model}.", ExitCode.NO_MODEL)
    takes.check(request, request.rate or ASSUMED_RATE)
    wanted = JobRequest(
        source=PathSource(os.path.abspath(request.input)),
        request_id=uuid4().hex,
        model=model,
        backend=backend,
        start=request.start,
        duration=request.duration,
        seed=request.seed,
        takes=request.takes,
        steps=request.steps,
        guidance=request.guidance,
        rate=request.rate,
        preview=request.preview,
        map=request.map,
        force=request.force,
    )
    with user_errors():
        job = _by_path(client, wanted, report) or _by_upload(client, wanted, request.input, report)
        if job.error is not None:
            raise as_user_error(job.error)
        assert job.result is not None
        input_sha256 = takes.clip_sha256(request.input)
        numbered = zip(takes.paths(request), job.result.takes, strict=True)
        fetch = partial(client.download, job.id)
        made = [_delivered(take, path, request.input, input_sha256, fetch) for (_, path), take in numbered]
    assert job.result.model is not None
    assert job.result.backend is not None
    return Generated(job.result.model, job.result.backend, made)


def _by_path(client: Client, wanted: JobRequest, report: Reporting) -> Job | None:
    """The job when it has ended; None where the service cannot read the clip but can be sent it."""
    assert isinstance(wanted.source, PathSource)
    can_be_sent = not is_sequence(Path(wanted.source.path))
    if can_be_sent and not client.local:
        return None
    try:
        return _carried_out(client, wanted, report)
    except EngineError as error:
        if error.code != "source" or not can_be_sent:
            raise
        return None


def _by_upload(client: Client, wanted: JobRequest, clip: Path, report: Reporting) -> Job:
    media = client.upload(clip, lambda sent, size: report(Progress("uploading", UPLOAD_SHARE * sent / size)))
    try:
        return _carried_out(
            client,
            replace(wanted, source=MediaSource(media.id), request_id=uuid4().hex),
            lambda step: report(replace(step, fraction=UPLOAD_SHARE + (1 - UPLOAD_SHARE) * step.fraction)),
        )
    finally:
        # Nobody else knows of it. Where that fails, the service deletes it by itself in time.
        with suppress(EngineError):
            client.remove_upload(media.id)


def _carried_out(client: Client, wanted: JobRequest, report: Reporting) -> Job:
    """The job of a request when it has ended; a refusal is an EngineError, a failure is in the job."""
    try:
        job = client.create(wanted)
        for state in client.events(job.id):
            job = state
            if job.progress is not None:
                report(job.progress)
    except KeyboardInterrupt:
        # Asked for again it is the same job, also where the interruption came before its answer.
        with suppress(EngineError):
            client.cancel(client.create(wanted).id)
        raise
    return job


def _delivered(
    take: TakeResult, path: Path, clip: Path, input_sha256: str, fetch: Callable[[ResultFile, Path], None]
) -> takes.Take:
    """A take's files, fetched to where they belong, together or not at all."""
    sidecar, preview, drawn = (path.with_suffix(ending) for ending in (".json", ".preview.wav", ".map.png"))
    assert take.seed is not None
    files = [(take.sound, path), (take.sidecar, sidecar), (take.preview, preview), (take.map, drawn)]
    with takes.together(path.parent) as folder, user_errors():
        for file, target in files:
            if file is not None:
                fetch(file, folder / target.name)
        kept = Sidecar.read(folder / sidecar.name)
        if kept.input_sha256 != input_sha256:
            raise UserError(
                f"The service read another clip than {clip} is now: generate again, and give the address of a service "
                f"on this machine if it runs on another one.",
                ExitCode.NO_INPUT,
            )
        here = takes.relative(clip, path.parent)
        kept.model_copy(update={"input": here}).write(folder / sidecar.name)
    return takes.Take(
        sound=path,
        sidecar=sidecar,
        preview=None if take.preview is None else preview,
        map=None if take.map is None else drawn,
        seed=take.seed,
        take=take.take,
        rate=take.rate,
        samples=take.samples,
        gain_db=take.gain_db,
        true_peak_dbtp=take.true_peak_dbtp,
    )
